"""Compress a stream on several cores: pieces of one size, each for itself, in the order in which they came.

A gzip file is any number of members one after the other, and one of zstd any number of frames, so every tool
reads it; and since the pieces are cut at fixed places the bytes do not depend on how many cores there are.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType, TracebackType
from typing import Protocol, Self

from modelyard.api import Compression

Piece = bytes | bytearray
PIECE_BYTES = 1 << 20
"""Large enough that a piece more costs nothing in size, small enough that a few in memory are nothing."""
_LEVEL = 1  # for 200 MB of packages 1 s instead of 3 at level 6 on one core, and a tenth larger
_ZSTD_LEVEL = 3  # its own default: smaller than gzip at its fastest, and faster
_MOST_THREADS = 4


class Output(Protocol):
    """Where compressed bytes go."""

    def write(self, content: Piece, /) -> object:
        """Take a piece."""
        ...


class Squeezer:
    """Takes bytes, and writes them compressed by the time its block ends."""

    def __init__(
        self, output: Output, compression: Compression = "gzip", *, threads: int | None = None
    ) -> None:
        self._output = output
        self._piece = _PIECES[compression]
        self._threads = threads or min(_MOST_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="squeeze")
        self._under_way: deque[Future[Piece]] = deque()
        self._waiting = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def write(self, content: Piece, /) -> int:
        """Take a piece of any size."""
        left = memoryview(content)
        while left:
            room = PIECE_BYTES - len(self._waiting)
            self._waiting += left[:room]
            left = left[room:]
            if len(self._waiting) == PIECE_BYTES:
                self._squeeze(self._waiting)
                self._waiting = bytearray()
        return len(content)

    def _squeeze(self, piece: Piece) -> None:
        while len(self._under_way) > self._threads:  # whoever writes waits: memory does not grow
            self._output.write(self._under_way.popleft().result())
        self._under_way.append(self._pool.submit(self._piece, piece))

    def _finish(self) -> None:
        self._squeeze(self._waiting)
        while self._under_way:
            self._output.write(self._under_way.popleft().result())


def _member(piece: Piece) -> bytearray:
    # libdeflate: twice as fast as zlib and smaller; it chooses code by the processor for checksums alone,
    # so that every machine writes the same bytes. In its header there is neither a name nor a time.
    import deflate

    return deflate.gzip_compress(piece, _LEVEL)


def _frame(piece: Piece) -> bytes:
    import zstandard

    # one for each piece: a compressor belongs to one thread
    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_content_size=True, write_checksum=False)
    return compressor.compress(piece)


_PIECES: Mapping[Compression, Callable[[Piece], Piece]] = MappingProxyType({"gzip": _member, "zstd": _frame})
