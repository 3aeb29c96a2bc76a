"""The Pythons of a base image, looked for once for each digest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import attrs

from modelyard.api import BasePython, Platform
from modelyard.images.images import Base, Repository
from modelyard.images.pythons import find_pythons
from modelyard.images.scanning import scan_base
from modelyard.processes import disk_errors, write_atomic

_VERSION = 1
"""A change of how Pythons are looked for is a new version: bases are then looked through again."""


async def pythons_of(
    base: Base, source: Repository, platform: Platform, folder: Path
) -> tuple[BasePython, ...]:
    """Give every CPython on the PATH of a base, the one that `python3` means first.

    What was found is kept in `folder` under the base's digest; layers are read there one at a time.
    """
    file = folder / f"{base.digest.replace(':', '-')}.json"
    known = await asyncio.to_thread(_read, file)
    if known is not None:
        return known
    with disk_errors(folder):
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    found = find_pythons(await scan_base(base, source, folder), base.config, platform)
    await asyncio.to_thread(_write, file, found)
    return found


def _read(file: Path) -> tuple[BasePython, ...] | None:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["version"] != _VERSION:
            return None
        return tuple(BasePython(**{**raw, "path": PurePosixPath(raw["path"])}) for raw in document["pythons"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, found: Sequence[BasePython]) -> None:
    pythons = [{**attrs.asdict(one), "path": str(one.path)} for one in found]
    write_atomic(file, json.dumps({"version": _VERSION, "pythons": pythons}).encode())
