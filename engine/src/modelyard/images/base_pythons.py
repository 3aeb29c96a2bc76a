"""The Pythons, the glibc and the packages of a base image, looked for once for each digest."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path, PurePosixPath

import attrs

from modelyard.api import BasePython, Platform
from modelyard.images.images import Base, Repository
from modelyard.images.installed import InstalledPackage, Inventory, find_installed
from modelyard.images.pythons import find_libc, find_pythons, machine_of
from modelyard.images.scanning import scan_base
from modelyard.processes import scratch, write_atomic

_VERSION = 3
"""A change of how Pythons are looked for is a new version: bases are then looked through again."""


@attrs.frozen
class BaseFacts:
    """What a base has to run packages: its glibc (`glibc-2.36`, or empty), and every CPython on its PATH.

    The Python that `python3` means comes first.
    """

    machine: str
    libc: str
    pythons: tuple[BasePython, ...]
    installed: Inventory = attrs.field(factory=Inventory)
    """What its package managers say is there."""


async def facts_of(base: Base, source: Repository, platform: Platform, folder: Path) -> BaseFacts:
    """Look a base through, or remember what was found.

    It is kept in `folder` under the base's digest; layers are read there one at a time.
    """
    file = folder / f"{base.digest.replace(':', '-')}.json"
    known = await asyncio.to_thread(_read, file)
    if known is not None:
        return known
    with scratch(folder, "base") as work:
        contents = await scan_base(base, source, work)
    machine = machine_of(platform)
    pythons = find_pythons(contents, base.config, platform)
    found = BaseFacts(machine, find_libc(contents, machine), pythons, find_installed(contents))
    await asyncio.to_thread(_write, file, found)
    return found


def _read(file: Path) -> BaseFacts | None:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["version"] != _VERSION:
            return None
        return BaseFacts(
            str(document["machine"]),
            str(document["libc"]),
            tuple(BasePython(**{**raw, "path": PurePosixPath(raw["path"])}) for raw in document["pythons"]),
            Inventory(
                tuple(InstalledPackage(**raw) for raw in document["installed"]), tuple(document["unread"])
            ),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, found: BaseFacts) -> None:
    pythons = [{**attrs.asdict(one), "path": str(one.path)} for one in found.pythons]
    document = {
        "version": _VERSION,
        "machine": found.machine,
        "libc": found.libc,
        "pythons": pythons,
        "installed": [attrs.asdict(one) for one in found.installed.packages],
        "unread": list(found.installed.unread),
    }
    write_atomic(file, json.dumps(document).encode())
