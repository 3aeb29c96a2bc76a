"""The archive that `docker load` reads, written as a stream."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Sequence

import attrs
from modelyard.archives import ArchiveError


@attrs.frozen
class Piece:
    """A content to write: its digest, its size, and its bytes when they are wanted."""

    digest: str
    size: int
    read: Callable[[], Iterator[bytes]]


def write_archive(config: Piece, layers: Sequence[Piece]) -> Iterator[bytes]:
    """Give what `docker load` reads; no tag is in it. Raises `ArchiveError` when a piece has another size."""
    manifest = [
        {
            "Config": f"{_hex(config)}.json",
            "RepoTags": None,
            "Layers": [f"{_hex(layer)}.tar" for layer in layers],
        }
    ]
    yield from _write_member(f"{_hex(config)}.json", config)
    for layer in {layer.digest: layer for layer in layers}.values():
        yield from _write_member(f"{_hex(layer)}.tar", layer)
    content = json.dumps(manifest).encode()
    yield from _write_member("manifest.json", Piece("", len(content), lambda: iter([content])))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _write_member(name: str, piece: Piece) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = piece.size, 0o644
    yield info.tobuf(format=tarfile.PAX_FORMAT)
    left = piece.size
    for chunk in piece.read():
        left -= len(chunk)
        yield chunk
    if left:
        raise ArchiveError(f"{name} is not as long as was said")
    yield bytes(-piece.size % tarfile.BLOCKSIZE)


def _hex(piece: Piece) -> str:
    return piece.digest.removeprefix("sha256:")
