"""Write a layer: the same entries give the same bytes, whoever writes them, wherever and whenever.

A tar in the order of names, owner 0 (but of folders that say another), time 0, modes 0755 and 0644, nothing
else of what a file system knows. It is written as a stream: memory does not grow with a file or with the layer.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol

import attrs

from modelyard.api import Compression, Descriptor
from modelyard.images.entries import Entry, File, Folder, Link, refused
from modelyard.images.squeezing import Piece, Squeezer
from modelyard.processes import disk_errors

TAR_TYPE = "application/vnd.oci.image.layer.v1.tar"
GZIP_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"
_TYPES: Mapping[Compression, str] = MappingProxyType({"gzip": GZIP_TYPE, "zstd": ZSTD_TYPE})
CHUNK_BYTES = 1 << 20
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: a FIFO must not hang us


@attrs.frozen
class Layer:
    """A written layer: the blob as it is stored, and `diff_id`, the digest of the tar within."""

    blob: Descriptor
    diff_id: str


class _Output(Protocol):
    def write(self, content: Piece, /) -> object: ...


class _Measured:
    """Passes bytes on, and knows their digest and number."""

    def __init__(self, output: _Output) -> None:
        self._output = output
        self._hasher = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """The digest of what has passed so far."""
        return f"sha256:{self._hasher.hexdigest()}"

    def write(self, content: Piece, /) -> int:
        """Pass a piece on."""
        self._hasher.update(content)
        self.size += len(content)
        self._output.write(content)
        return len(content)


class _Telling:
    """Writes to a file, and tells every now and then how much of it can be read."""

    def __init__(self, file: IO[bytes], told: Callable[[int], None]) -> None:
        self._file = file
        self._told = told
        self._size = self._said = 0

    def write(self, content: Piece, /) -> None:
        """Write a piece."""
        self._file.write(content)
        self._size += len(content)
        if self._size - self._said >= CHUNK_BYTES:
            self._file.flush()
            self._said = self._size
            self._told(self._size)


def write_layer(
    entries: Iterable[Entry],
    destination: Path,
    *,
    compression: Compression | None,
    told: Callable[[int], None] = lambda _: None,
) -> Layer:
    """Write entries, as `trees` lists them, to the file `destination`.

    `compression` None = as they are: weights gain nothing from it. The digest of a compressed blob depends on
    the release of libdeflate or zstd, its `diff_id` on nothing but the entries. `told` hears, about once a MiB,
    how many bytes of the file can be read already; what it raises ends the writing.
    Raises `ImageUnbuildable` when a file is no longer what was listed.
    """
    with disk_errors(destination), destination.open("wb") as file:
        output = _Telling(file, told)
        return (
            _write_plain(entries, output) if compression is None else _squeeze(entries, output, compression)
        )


def _write_plain(entries: Iterable[Entry], file: _Output) -> Layer:
    tar = _Measured(file)
    _write_tar(entries, tar)
    return Layer(Descriptor(TAR_TYPE, tar.digest, tar.size), tar.digest)


def _squeeze(entries: Iterable[Entry], file: _Output, compression: Compression) -> Layer:
    blob = _Measured(file)
    with Squeezer(blob, compression) as squeezed:
        tar = _Measured(squeezed)
        _write_tar(entries, tar)
    return Layer(Descriptor(_TYPES[compression], blob.digest, blob.size), tar.digest)


def _write_tar(entries: Iterable[Entry], output: _Measured) -> None:
    written: dict[tuple[int, int], str] = {}
    for entry in entries:
        if not isinstance(entry, File):
            output.write(_header(entry))
        elif first := written.get(entry.identity):
            output.write(_hard_link(entry, first))
        else:
            written[entry.identity] = entry.place
            output.write(_header(entry))
            _copy(entry, output)
    output.write(bytes(2 * tarfile.BLOCKSIZE))  # tar's end


def _header(entry: Entry) -> bytes:
    info = tarfile.TarInfo(entry.place)
    match entry:
        case Folder(owner=owner):
            info.type, info.mode = tarfile.DIRTYPE, 0o700 if owner else 0o755
            info.uid = info.gid = owner
        case Link():
            info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, entry.target
        case File():
            info.size, info.mode = entry.size, 0o755 if entry.executable else 0o644
    return _encoded(info)


def _hard_link(entry: File, first: str) -> bytes:
    info = tarfile.TarInfo(entry.place)
    info.type, info.linkname = tarfile.LNKTYPE, first
    info.mode = 0o755 if entry.executable else 0o644
    return _encoded(info)


def _encoded(info: tarfile.TarInfo) -> bytes:
    """The time of a new `TarInfo` is 0, and its owner; long names and sizes over 8 GiB become PAX records."""
    return info.tobuf(format=tarfile.PAX_FORMAT, encoding="utf-8", errors="strict")


def _copy(entry: File, output: _Measured) -> None:
    try:
        handle = os.open(entry.source, _FLAGS)
    except OSError as error:
        raise refused(
            f"cannot be read: {error.strerror}", str(entry.source), "make it readable or remove it"
        ) from error
    with os.fdopen(handle, "rb", buffering=0) as file:
        left = entry.size if _is_still(entry, os.fstat(handle)) else -1
        while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            output.write(chunk)
    if left != 0:
        raise refused(
            "the file changed while it was read",
            str(entry.source),
            "let whatever writes it finish, then try again",
        )
    output.write(bytes(-entry.size % tarfile.BLOCKSIZE))


def _is_still(entry: File, facts: os.stat_result) -> bool:
    same = (facts.st_dev, facts.st_ino) == entry.identity
    return same and stat.S_ISREG(facts.st_mode) and facts.st_size == entry.size
