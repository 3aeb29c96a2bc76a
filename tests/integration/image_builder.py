"""Builds the image of one key over a layout folder, in a process of its own that may be killed at a step.

python -m tests.integration.image_builder <folder> <the step before which the process kills itself, or nothing>

Writes the image's digest to its output, and to its errors the memory that it took, in KiB.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import attrs
from modelyard.api import Compression, Descriptor
from modelyard.images import (
    Addition,
    Image,
    Part,
    Repository,
    Shelves,
    Start,
    assemble,
    find_base,
    find_or_build,
    list_tree,
)
from modelyard_registry.layout import OciLayoutRegistry

from engine.tests.images.making import AMD64, BASES, Watched

KEY = "a" * 64


@attrs.define
class Mortal(Watched):
    """A registry whose process is killed just before a step: `push_blob:2` is the second blob that is pushed."""

    dies_before: str = ""

    def _reach(self, method: str, what: str) -> None:
        super()._reach(method, what)
        if self.dies_before == f"{method}:{self.count(method)}":
            os.kill(os.getpid(), signal.SIGKILL)


async def build(folder: Path, *, dies_before: str = "", compression: Compression = "gzip") -> Descriptor:
    """Find or build the image of `folder`/project; every build adds a line to `folder`/builds."""
    registry = Mortal(OciLayoutRegistry(folder / "registry"))
    bases = Repository(registry, BASES)
    base = await find_base(bases, "3", AMD64)

    async def assembled(target: Repository, work: Path) -> Descriptor:
        registry.calls.clear()
        registry.dies_before = dies_before
        with (folder / "builds").open("a") as log:
            log.write("built\n")
        parts = {Part.ENVIRONMENT: "env", Part.MODELS: "model", Part.CODE: "code"}
        additions = [
            Addition(part, list_tree(folder / "project" / name, f"opt/{name}"))
            for part, name in parts.items()
        ]
        start = Start(entrypoint=("/opt/env/bin/serve",))
        image = Image(base, additions, "digits", "1", start, compression=compression)
        return await assemble(image, source=bases, target=target, tag=KEY, folder=work)

    shelves = Shelves(registry, (), folder / "work")
    return (await find_or_build(KEY, shelves, assembled)).manifest


def peak() -> int:
    """Give the most memory that this process has had, in KiB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


if __name__ == "__main__":
    before = peak()
    sys.stdout.write(asyncio.run(build(Path(sys.argv[1]), dies_before=sys.argv[2])).digest)
    sys.stderr.write(str(peak() - before))
