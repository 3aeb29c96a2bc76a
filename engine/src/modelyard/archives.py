"""The archive of `docker save`, read as a stream: for the engine, and for plugins that speak to Docker.

Nothing is extracted: a content goes to a `Keeper` under its digest, and the names in an archive are keys of
a mapping, never paths. Memory does not grow with an image. Touches no disk and no network, and imports
nothing of modelyard.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

import attrs

TAR_TYPE = "application/vnd.oci.image.layer.v1.tar"
GZIP_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_CHUNK_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 20_000
_LARGEST_HEADER = 4 << 20
"""Bytes between two contents: headers are read into memory."""
_LARGEST_DOCUMENT = 4 << 20
_INFLATE = 16 + zlib.MAX_WBITS


class ArchiveError(ValueError):
    """What is wrong with an archive."""


class Keeper(Protocol):
    """Keeps contents by digest."""

    def store(self, chunks: Iterator[bytes], /) -> tuple[str, int]:
        """Keep a content; give its digest and size."""
        ...

    def chunks(self, digest: str, /) -> Iterator[bytes]:
        """Give a content that was kept."""
        ...


@attrs.frozen
class Content:
    """A content that was in an archive."""

    digest: str
    size: int
    compressed: bool = False

    @property
    def media_type(self) -> str:
        """What it is called as a layer."""
        return GZIP_TYPE if self.compressed else TAR_TYPE


@attrs.frozen
class Saved:
    """One image of an archive: the bytes of its configuration, its layers lowest first, their diff_ids."""

    config: bytes
    layers: tuple[Content, ...]
    diff_ids: tuple[str, ...]


def read_archive(chunks: Iterator[bytes], keeper: Keeper) -> Saved:
    """Read the one image of a `docker save`. Raises `ArchiveError`, and what `chunks` and `keeper` raise."""
    contents, links = _read_members(chunks, keeper)
    entry = _only_entry(_document(_find("manifest.json", contents, links), keeper))
    try:
        config = _small(_find(str(entry["Config"]), contents, links), keeper)
        layers = [_find(str(name), contents, links) for name in entry["Layers"] or ()]
        diff_ids = [str(one) for one in json.loads(config)["rootfs"].get("diff_ids") or ()]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as failure:
        raise ArchiveError(f"its manifest or its configuration is incomplete: {failure}") from failure
    if len(layers) != len(diff_ids):
        raise ArchiveError(f"it has {len(layers)} layers, its configuration names {len(diff_ids)}")
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        _check_layer(layer, diff_id, keeper)
    return Saved(config, tuple(layers), tuple(diff_ids))


def diff_id_of(chunks: Iterable[bytes]) -> str:
    """Give the digest of what a gzip stream holds. Raises `ArchiveError` when it is none."""
    hasher, inflating = hashlib.sha256(), zlib.decompressobj(_INFLATE)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                hasher.update(inflating.decompress(rest, _CHUNK_BYTES))
                rest = inflating.unconsumed_tail
                if inflating.eof and inflating.unused_data:  # gzip files may be joined
                    rest, inflating = inflating.unused_data, zlib.decompressobj(_INFLATE)
        hasher.update(inflating.flush())
    except zlib.error as failure:
        raise ArchiveError(f"a layer is damaged: {failure}") from failure
    if not inflating.eof:
        raise ArchiveError("a layer ends too soon")
    return f"sha256:{hasher.hexdigest()}"


class _Stream(io.RawIOBase):
    """Chunks as a file; what is read between two contents is counted, for that is kept in memory."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._pending = b""
        self.budget = 0
        self.counts = True

    def read(self, size: int = -1) -> bytes:
        """Give up to `size` bytes; none = the end."""
        while not self._pending:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._pending = chunk
        piece, self._pending = self._pending[:size], self._pending[size:]
        if self.counts:
            self.budget -= len(piece)
            if self.budget < 0:
                raise ArchiveError("a header is too large")
        return piece


def _read_members(chunks: Iterator[bytes], keeper: Keeper) -> tuple[dict[str, Content], dict[str, str]]:
    contents: dict[str, Content] = {}
    links: dict[str, str] = {}
    stream = _Stream(chunks)
    try:
        stream.budget = _LARGEST_HEADER
        with tarfile.open(fileobj=cast("Any", stream), mode="r|", bufsize=64 * 1024) as tar:
            while (member := tar.next()) is not None:
                cast("Any", tar).members = []  # it would remember every one of them
                if len(contents) + len(links) >= _MOST_MEMBERS:
                    raise ArchiveError(f"it has over {_MOST_MEMBERS} members")
                _keep_member(tar, member, stream, keeper, contents, links)
                stream.budget = _LARGEST_HEADER
    except (tarfile.TarError, EOFError) as failure:
        raise ArchiveError(f"it is no whole tar: {failure}") from failure
    return contents, links


def _keep_member(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    stream: _Stream,
    keeper: Keeper,
    contents: dict[str, Content],
    links: dict[str, str],
) -> None:
    name = posixpath.normpath(member.name)
    if member.issym():
        links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
    elif member.islnk():
        links[name] = posixpath.normpath(member.linkname)
    elif member.isreg():
        stream.counts = False
        contents[name] = _keep(tar, member, keeper)
        stream.counts = True


def _keep(tar: tarfile.TarFile, member: tarfile.TarInfo, keeper: Keeper) -> Content:
    first = b""

    def pieces() -> Iterator[bytes]:
        nonlocal first
        file, left = tar.extractfile(member), member.size
        while file is not None and left > 0:
            chunk = file.read(min(_CHUNK_BYTES, left))
            if not chunk:
                raise ArchiveError("it ends in the middle of a content")
            first, left = first or chunk[:2], left - len(chunk)
            yield chunk

    digest, size = keeper.store(pieces())
    return Content(digest, size, compressed=first == _GZIP)


def _find(name: str, contents: Mapping[str, Content], links: Mapping[str, str]) -> Content:
    wanted = posixpath.normpath(name)
    for _ in range(len(links) + 1):
        if wanted in contents:
            return contents[wanted]
        if wanted not in links:
            break
        wanted = links[wanted]
    raise ArchiveError(f"it has no member {name!r}")


def _document(content: Content, keeper: Keeper) -> Any:
    try:
        return json.loads(_small(content, keeper))
    except (ValueError, RecursionError) as failure:
        raise ArchiveError(f"its manifest is no JSON: {failure}") from failure


def _small(content: Content, keeper: Keeper) -> bytes:
    if content.size > _LARGEST_DOCUMENT:
        raise ArchiveError(f"a document in it has {content.size} bytes")
    return b"".join(keeper.chunks(content.digest))


def _only_entry(manifest: Any) -> Mapping[str, Any]:
    if not isinstance(manifest, list) or len(manifest) != 1 or not isinstance(manifest[0], dict):
        raise ArchiveError("it does not hold one image")
    return cast("Mapping[str, Any]", manifest[0])


def _check_layer(layer: Content, diff_id: str, keeper: Keeper) -> None:
    if layer.digest == diff_id:
        return
    if not layer.compressed or diff_id_of(keeper.chunks(layer.digest)) != diff_id:
        raise ArchiveError(f"a layer is not the one that is promised: {layer.digest} for {diff_id}")
