"""gzip for gRPC messages: off unless the service asks for it, and bounded before anything is allocated."""

from __future__ import annotations

import zlib

from modelyard_runtime.server.problems import BadInput, TooLarge, Unimplemented

GZIP = b"gzip"
IDENTITY = b"identity"
ACCEPTED = b"identity,gzip"
"""What `grpc-accept-encoding` says where compression is on."""
SMALLEST = 1024
"""A shorter answer fits one packet anyway."""
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_FAST = 1
_STEP = 1 << 20


def check_encoding(encoding: bytes, *, allowed: bool) -> None:
    """Refuse what this server cannot read. Raises `Unimplemented`."""
    if encoding == IDENTITY or (encoding == GZIP and allowed):
        return
    name = encoding.decode("latin-1")
    if encoding == GZIP:
        raise Unimplemented(
            "this service takes uncompressed messages only: send none, or have it take gzip"
            " (grpc.compression in engine.yaml, --compression by hand)"
        )
    raise Unimplemented(f"grpc-encoding '{name}' is not known here")


def decompress(message: bytes | memoryview, *, limit: int, ratio: int) -> bytes:
    """Undo gzip, never past `limit` bytes nor `ratio` times what came. Raises `TooLarge`, `BadInput`."""
    most = min(limit, len(message) * ratio)
    reader = zlib.decompressobj(_GZIP_WINDOW)
    parts: list[bytes] = []
    size = 0
    try:
        pending: bytes | memoryview = message
        while pending and not reader.eof:
            part = reader.decompress(pending, min(_STEP, most - size + 1))
            size += len(part)
            if size > most:
                raise TooLarge(_too_large(len(message), limit=limit, ratio=ratio))
            parts.append(part)
            pending = reader.unconsumed_tail
    except zlib.error as error:
        raise BadInput("a message is marked as compressed, but is no gzip") from error
    if not reader.eof or reader.unused_data:
        raise BadInput("a compressed message is cut off, or goes on behind its end")
    return b"".join(parts)


def compress(message: bytes) -> bytes:
    """Compress fast: the network's bytes are cheaper than the model's time."""
    writer = zlib.compressobj(_FAST, wbits=_GZIP_WINDOW)
    return writer.compress(message) + writer.flush()


def _too_large(size: int, *, limit: int, ratio: int) -> str:
    return (
        f"a compressed message of {size} bytes grows past the limit: {limit} bytes, or {ratio} times its size"
    )
