"""What models take: on disk before they are loaded, in memory from then on. Reads files; not for the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelyard_runtime.proc import proportional_bytes
from modelyard_runtime.scoring.evicting import Key


def in_memory(pids: Mapping[Key, list[int]]) -> dict[Key, int]:
    """Return what each model's processes hold, in bytes."""
    return {key: proportional_bytes(members) for key, members in pids.items()}


def in_files(folder: Path) -> int:
    """Return what a model's files hold, in bytes; each entry of its folder may be a link."""
    try:
        found = [file for entry in folder.iterdir() for file in (entry, *entry.resolve().rglob("*"))]
        return sum(file.stat().st_size for file in found if file.is_file())
    except OSError:
        return 0  # its script will say what is wrong with them
