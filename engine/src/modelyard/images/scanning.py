"""Look through the layers of a base image: every layer once, as a stream, unpacking nothing.

What is looked for are its Pythons, its glibc, and what its package managers say is installed.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from modelyard.api import Descriptor, ImageUnbuildable
from modelyard.images.bases import fetch_blob
from modelyard.images.contents import OPAQUE, WHITEOUT, Contents, Traits, cleaned
from modelyard.images.images import Base, Repository
from modelyard.images.installed import DATABASES, NAMES
from modelyard.images.layers import GZIP_TYPE, TAR_TYPE, ZSTD_TYPE
from modelyard.processes import disk_errors

_INTERESTING = re.compile(
    r"(.*/)?(python3\.\d{1,2}|libpython3\.\d{1,2}\.so\.1\.0|patchlevel\.h|libc\.so\.6|libc-2\.\d+\.so|ld-musl-.*)"
)
_RELEASE = re.compile(rb'3\.(?<![\d.]3\.)\d{1,2}\.\d{1,2}(?=\0|")')
"""A release ends a text of the program, or stands in quotes in its header; what stands before varies.

It begins with letters, not with what must not stand before them: `re` then skips to them, ten times as fast.
"""
_GLIBC = re.compile(rb"GNU C Library [^\n\0]{0,80}version (2\.\d{1,3})")
_CHUNK_BYTES = 1 << 20
_OVERLAP_BYTES = 200
_BLOCK_BYTES = 1 << 16
"""What is read at once of a tar: less means more calls, and more is copied at every header."""
_LARGEST_LAYER = 64 << 30
"""Bytes of a layer once decompressed: a bomb ends here instead of running for ever."""

_MOST_TEXT = 64 << 20
"""Bytes of all databases of packages, in all layers; one of two thousand packages has four million."""

Opener = Callable[[Path], IO[bytes]]


async def scan_base(base: Base, source: Repository, folder: Path) -> Contents:
    """Read what a base holds; `folder` takes one layer at a time. Raises `ImageUnbuildable` for damaged ones."""
    contents = Contents()
    for layer in base.layers:
        with disk_errors(folder), tempfile.NamedTemporaryFile(dir=folder, prefix="base-") as file:
            await fetch_blob(layer, source, cast("IO[bytes]", file))
            await asyncio.to_thread(_scan, contents, Path(file.name), layer, base.name)
    return contents


def _scan(contents: Contents, path: Path, layer: Descriptor, name: str) -> None:
    try:
        with _opener(layer.media_type)(path) as content:
            scan_layer(contents, content)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise ImageUnbuildable(
            f"a layer of the base image is damaged: {error}",
            place=f"{name}: {layer.digest}",
            remedy="push the base image again, or name another in environment.base",
        ) from error


def scan_layer(contents: Contents, content: IO[bytes]) -> None:
    """Add what one layer, a plain tar, has and hides."""
    left = _LARGEST_LAYER
    with tarfile.open(fileobj=content, mode="r|", bufsize=_BLOCK_BYTES) as tar:
        for member in tar:
            left -= max(member.size, tarfile.BLOCKSIZE)
            if left < 0:
                raise ValueError(f"it holds more than {_LARGEST_LAYER} bytes")
            _take(contents, tar, member)
            tar.members = []  # type: ignore[attr-defined]  # or it would keep every one


def _take(contents: Contents, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    path = cleaned(member.name)
    folder, _, name = path.rpartition("/")
    if name == OPAQUE:
        contents.hide(folder, below_only=True)
    elif name.startswith(WHITEOUT):
        contents.hide(f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
    elif member.issym():
        contents.add_link(path, member.linkname)
    elif member.islnk():
        contents.add_hard_link(path, cleaned(member.linkname))
    elif member.isreg():
        contents.add_file(path, _traits(contents, tar, member))
    else:
        contents.add_file(path, None)


def _traits(contents: Contents, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Traits | None:
    path = cleaned(member.name)
    if _INTERESTING.fullmatch(path):
        return _look(tar, member)
    if DATABASES.fullmatch(path):
        file = tar.extractfile(member)
        assert file is not None  # noqa: S101  it is regular
        fits = contents.text_bytes + member.size <= _MOST_TEXT
        return Traits(text=file.read()) if fits else Traits(cut=True)
    return Traits() if NAMES.fullmatch(path) else None


def _look(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Traits:
    """Search a file piece by piece; what is looked for is shorter than what two pieces share."""
    file = tar.extractfile(member)
    assert file is not None  # noqa: S101  it is regular
    releases: dict[str, None] = {}
    glibc, end = "", b""
    while chunk := file.read(_CHUNK_BYTES):
        piece = end + chunk
        releases |= dict.fromkeys(one.decode() for one in _RELEASE.findall(piece))
        if found := _GLIBC.search(piece):
            glibc = found[1].decode()
        end = piece[-_OVERLAP_BYTES:]
    return Traits(tuple(releases), glibc, musl="ld-musl-" in member.name)


def _opener(media_type: str) -> Opener:
    openers: dict[str, Opener] = {TAR_TYPE: _open_plain, GZIP_TYPE: _open_gzip, ZSTD_TYPE: _open_zstd}
    return openers[media_type]


def _open_plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _open_gzip(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path))


def _open_zstd(path: Path) -> IO[bytes]:
    import zstandard

    # many frames one after the other: `zstandard.open` would end at the first
    reader = zstandard.ZstdDecompressor().stream_reader(
        path.open("rb"), read_across_frames=True, closefd=True
    )
    return cast("IO[bytes]", reader)
