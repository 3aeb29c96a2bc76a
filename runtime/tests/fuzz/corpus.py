"""Inputs worth keeping, as text that diffs: a file for each target, an input a line, in hexadecimal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")


def read(target: str) -> list[bytes]:
    """Return a target's inputs; none where it has no file yet."""
    path = FOLDER / f"{target}.hex"
    return [bytes.fromhex(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(target: str, inputs: Iterable[bytes]) -> None:
    """Keep inputs, each once, the short ones first."""
    FOLDER.mkdir(exist_ok=True)
    lines = [one.hex() for one in sorted(set(inputs), key=lambda one: (len(one), one))]
    (FOLDER / f"{target}.hex").write_text("".join(f"{line}\n" for line in lines))
