"""Read an OSV database as osv-scanner keeps it: one zip an ecosystem, one entry a member. Blocks.

Members are read in memory within bounds; nothing is ever extracted. Reading all of them takes seconds, so
which member speaks of which package is kept in the cache, and read on from there where time ran out.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import attrs

from modelyard.api import SystemError_
from modelyard.environments.advisories.entries import ECOSYSTEM, Advisory, read_advisory
from modelyard.processes import write_atomic

FOLDER_VARIABLE = "OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY"
MOST_ENTRIES = 250_000
MOST_ENTRY_BYTES = 4 * 1024 * 1024
MOST_BYTES = 4 * 1024**3
MOST_DIRECTORY_BYTES = 32 * 1024 * 1024
"""Of the zip's own list of members, which is held in memory."""
READING_SECONDS = 3.0
"""Checks have five."""
_INDEX_VERSION = 1
_FOLDERS = ("", "osv-scanner", "osv-scalibr")
"""What releases of osv-scanner put between the folder that they are told and the ecosystems."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class DatabaseMissing(Exception):
    """There is no database; the message says where it was looked for."""


class DatabaseDamaged(Exception):
    """It is no database, or not one within bounds; the message says what is wrong."""


class DatabaseUnread(Exception):
    """Time ran out; the next reading goes on from here. The message says how far it is."""


@attrs.frozen
class Index:
    """Which members speak of which package. `identity` is of the zip that it was made of."""

    identity: str
    read: int = 0
    """How many members have been read."""
    modified: str = ""
    """When the newest entry was modified, in ISO 8601."""
    packages: Mapping[str, list[str]] = attrs.field(factory=dict)


@attrs.frozen
class Found:
    """The entries about some packages, and the time of the newest of all entries."""

    advisories: tuple[Advisory, ...]
    as_of: datetime


@attrs.frozen
class Database:
    """The known vulnerabilities below `folder`; `cache` is a folder of the engine's own."""

    folder: Path
    cache: Path
    max_age_days: int = 14
    clock: Callable[[], float] = attrs.field(default=time.time, repr=False)
    reading_seconds: float = READING_SECONDS

    def find(self, names: Iterable[str]) -> Found:
        """Give what is known of some packages, by their normalised names.

        Raises `DatabaseMissing`, `DatabaseDamaged`, or `DatabaseUnread` when it takes too long.
        """
        with _opened(self.folder) as (file, archive):
            index = self._index(archive, _identity(file))
            members = sorted({one for name in names for one in index.packages.get(name, ())})
            advisories = tuple(_read(archive, member) for member in members)
        if not index.modified:
            raise DatabaseDamaged("it has no entry")
        return Found(advisories, datetime.fromisoformat(index.modified))

    def _index(self, archive: zipfile.ZipFile, identity: str) -> Index:
        file = self.cache / f"vulnerabilities-{ECOSYSTEM.lower()}.json"
        kept = _load(file)
        index = kept if kept and kept.identity == identity else Index(identity)
        members = _members(archive)
        if index.read < len(members):
            index = self._read_on(archive, members, index)
            _save(file, index)
        if index.read < len(members):
            raise DatabaseUnread(f"{index.read} of {len(members)} entries have been read")
        return index

    def _read_on(self, archive: zipfile.ZipFile, members: list[str], index: Index) -> Index:
        until = time.monotonic() + self.reading_seconds
        # a clock that was wrong somewhere must not make a database young for ever
        latest = datetime.fromtimestamp(self.clock(), UTC) + timedelta(days=1)
        packages = {name: list(known) for name, known in index.packages.items()}
        newest = datetime.fromisoformat(index.modified) if index.modified else None
        read = index.read
        for member in members[index.read :]:
            advisory = _read(archive, member)
            read += 1
            if advisory.modified <= latest and (newest is None or advisory.modified > newest):
                newest = advisory.modified
            for name in {part.name for part in advisory.affected}:
                packages.setdefault(name, []).append(member)
            if time.monotonic() > until:
                break
        return Index(index.identity, read, newest.isoformat() if newest else "", packages)


def find_folder(environ: Mapping[str, str], chosen: Path | None = None) -> Path:
    """Say where to look: the setting, else osv-scanner's own variable, else the user's cache, as it does."""
    if chosen:
        return chosen
    if told := environ.get(FOLDER_VARIABLE):
        return Path(told)
    user = Path(environ.get("HOME") or Path.home())
    return Path(environ.get("XDG_CACHE_HOME") or user / ".cache")


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[tuple[IO[bytes], zipfile.ZipFile]]:
    places = [folder / one / ECOSYSTEM / "all.zip" for one in _FOLDERS]
    existing = [one for one in places if one.is_file()]
    if not existing:
        raise DatabaseMissing(f"there is no {places[0]}")
    try:
        with max(existing, key=lambda one: one.stat().st_mtime).open("rb") as file:
            if _directory_bytes(file) > MOST_DIRECTORY_BYTES:
                raise DatabaseDamaged("its list of members is larger than any real one")
            with zipfile.ZipFile(file) as archive:
                yield file, archive
    except (OSError, ValueError, LookupError, RuntimeError, EOFError) as failure:
        raise DatabaseDamaged(str(failure)) from failure
    except (zipfile.BadZipFile, zlib.error, struct.error) as failure:
        raise DatabaseDamaged(str(failure)) from failure


def _members(archive: zipfile.ZipFile) -> list[str]:
    infos = [info for info in archive.infolist() if info.filename.endswith(".json")]
    if len(infos) > MOST_ENTRIES or sum(info.file_size for info in infos) > MOST_BYTES:
        raise DatabaseDamaged("it is larger than any real one")
    return sorted({info.filename for info in infos})


def _read(archive: zipfile.ZipFile, member: str) -> Advisory:
    info = archive.getinfo(member)
    if info.compress_type not in _METHODS or info.file_size > MOST_ENTRY_BYTES:
        raise DatabaseDamaged(f"the entry {member[:100]!r} is packed otherwise, or too large")
    with archive.open(info) as file:
        content = file.read(MOST_ENTRY_BYTES + 1)  # what it unpacks to counts, not what it says
    if len(content) > MOST_ENTRY_BYTES:
        raise DatabaseDamaged(f"the entry {member[:100]!r} is too large")
    try:
        return read_advisory(content)
    except ValueError as failure:
        raise DatabaseDamaged(f"the entry {member[:100]!r} cannot be read: {failure}") from failure


def _identity(file: IO[bytes]) -> str:
    facts = os.fstat(file.fileno())
    return f"{_INDEX_VERSION}-{facts.st_dev}-{facts.st_ino}-{facts.st_size}-{facts.st_mtime_ns}"


def _load(file: Path) -> Index | None:
    try:
        kept = json.loads(file.read_bytes())
        packages = {str(name): [str(one) for one in found] for name, found in kept["packages"].items()}
        return Index(str(kept["identity"]), int(kept["read"]), str(kept["modified"]), packages)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _save(file: Path, index: Index) -> None:
    # without a cache it is slower, and no less true
    with contextlib.suppress(OSError, SystemError_):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, json.dumps(attrs.asdict(index)).encode())


def _directory_bytes(file: IO[bytes]) -> int:
    """Read how large a zip says its list of members is, before anything holds it in memory."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - (1 << 16) - 22)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise DatabaseDamaged("it is no zip file")
    (told,) = struct.unpack_from("<L", tail, at + 12)
    locator = tail.rfind(b"PK\x06\x07", 0, at)
    if locator >= 0:
        (offset,) = struct.unpack_from("<Q", tail, locator + 8)
        file.seek(min(offset, size))
        record = file.read(56)
        told = max(told if told < (1 << 32) - 1 else 0, struct.unpack_from("<Q", record, 40)[0])
    file.seek(0)
    return int(told)
