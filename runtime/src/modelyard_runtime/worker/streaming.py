"""Answers that come in pieces: generators and asynchronous generators that a script returned."""

from __future__ import annotations

import itertools
from typing import Any, Callable, Iterator

from . import explaining
from .coroutines import Coroutines
from .failures import Failure, ScriptRaised
from .json_text import write
from .replies import InferredStream, StreamReply
from .requests import Tensor

TEXT = b"text/plain; charset=utf-8"
BINARY = b"application/octet-stream"
LINES = b"application/x-ndjson"
_KINDS: dict[type, bytes] = {str: TEXT, bytes: BINARY}


def is_stream(result: Any) -> bool:
    """Say whether a script returned a generator of either kind."""
    if isinstance(result, (list, tuple, dict, str, bytes)):
        return False
    return (hasattr(result, "__next__") and hasattr(result, "__iter__")) or hasattr(result, "__anext__")


def guarded(source: Any, coroutines: Coroutines) -> Iterator[Any]:
    """Iterate a script's generator; what it raises goes to the log and becomes `ScriptRaised`."""
    pieces = coroutines.pieces(source) if hasattr(source, "__anext__") else source
    try:
        yield from pieces
    except Failure:
        raise
    except GeneratorExit:
        raise
    except BaseException as error:  # the user's code may raise anything
        explaining.show(error)
        raise ScriptRaised(f"the stream raised {type(error).__name__}") from error


def streamed(source: Any, coroutines: Coroutines, elapsed_ms: float) -> StreamReply:
    """Return a stream of text, bytes or JSON lines, whichever its first piece is.

    Waits for that piece, so a script that raises before it is answered with an error, not a broken stream.
    """
    pieces = guarded(source, coroutines)
    first = list(itertools.islice(pieces, 1))
    kind = _KINDS.get(type(first[0]), LINES) if first else TEXT
    return StreamReply(200, ((b"content-type", kind),), elapsed_ms, _Chained(first, pieces, encoded))


def tensors_streamed(
    source: Any, coroutines: Coroutines, tensors_of: Callable[[Any], tuple[Tensor, ...]]
) -> InferredStream:
    """Return a stream of named tensors."""
    pieces = guarded(source, coroutines)
    first = list(itertools.islice(pieces, 1))
    return InferredStream(_Chained(first, pieces, tensors_of))


def encoded(piece: Any) -> bytes:
    """Return text and bytes as they are, anything else as one line of JSON."""
    if isinstance(piece, str):
        return piece.encode("utf-8", "surrogatepass")
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(piece)
    return write(piece) + b"\n"


class _Chained(Iterator[Any]):
    """The first pieces, then the rest; closing it closes the script's generator."""

    def __init__(self, first: list[Any], rest: Iterator[Any], convert: Callable[[Any], Any]) -> None:
        self._pieces = map(convert, itertools.chain(first, rest))
        self._rest = rest

    def __next__(self) -> Any:
        return next(self._pieces)

    def close(self) -> None:
        """Stop: the script's `finally` blocks run."""
        close = getattr(self._rest, "close", None)
        if close is not None:
            close()
