"""What frames carry: requests, replies and failures as fields of bytes, and back.

Pure. The one place that knows the order of fields; texts are UTF-8, numbers little-endian.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import chain
from typing import Callable, List, NamedTuple, Sequence, Union

from .failures import BadInput, Failure, InputBroke, ResultUnusable, RunLeft, RunTimedOut, ScriptRaised
from .frames import FAILED, HTTP, INFER, INFERRED, SCORE, SCORED, Frame, FrameError, Plain, Reference
from .replies import HttpReply, Inferred, Reply, Scored
from .requests import Buffer, HeaderList, InferRequest, Request, ScoreRequest, Tensor

Read = Callable[[Union[bytes, Reference]], Union[bytes, memoryview]]
"""How a field that may lie in shared memory is read: `segments.Inbox.read`."""

_COUNTS = struct.Struct("<HH")
_ELAPSED = struct.Struct("<d")
_HTTP = struct.Struct("<H?d")
_STATUS = struct.Struct("<H")
_HEAD = struct.Struct("<Hd")
_DESCRIPTION = struct.Struct("<IB")  # how long a tensor's name is, and its datatype
_DIMENSION_BYTES = 8
_REMEMBERED = 512
"""Descriptions of tensors: a client sends the same ones again and again."""
_SHORT_NAME, _LOW_RANK, _SHORT_DESCRIPTION = 100, 8, 500
"""Longer ones are not remembered, so that no client can fill the memory with them."""
_FAILURES = {one.kind.encode(): one for one in (ResultUnusable, InputBroke, RunTimedOut, RunLeft)}
"""Those that are no more than their text."""
_ERRORS = "surrogatepass"
"""A path may hold what is no text; it must arrive as it was."""


class Message(NamedTuple):
    """The kind of a frame and its fields."""

    kind: int
    fields: Sequence[Plain]


def write_request(request: Request, *, headers: bool) -> Message:
    """Write a request; its headers only if the script looks at them."""
    if type(request) is ScoreRequest:
        method, path, query, sent, body = request
        fields: List[Plain] = [method.encode(), path.encode("utf-8", _ERRORS), query, body]
        return Message(SCORE, fields + list(chain.from_iterable(sent)) if headers else fields)
    inputs, outputs, sent = request  # type: ignore[misc]  # told apart above
    fields = [_COUNTS.pack(len(inputs), len(outputs))]
    _write_tensors(inputs, fields)
    fields.extend(name.encode() for name in outputs)
    return Message(INFER, fields + list(chain.from_iterable(sent)) if headers else fields)


def read_request(frame: Frame, read: Read) -> Request:
    """Read what `write_request` wrote. Raises `FrameError`."""
    try:
        if frame.kind == SCORE:
            method, path, query, body = frame.fields[:4]
            return ScoreRequest(
                _text(method, read),
                str(read(path), "utf-8", _ERRORS),
                _copy(read(query)),
                _headers(frame.fields, 4, read),
                _copy(read(body)),
            )
        if frame.kind == INFER:
            ins, outs = _COUNTS.unpack(_plain(frame.fields[0]))
            inputs = _tensors(frame.fields, 1, ins, read)
            after = 1 + 2 * ins
            outputs = tuple(_text(field, read) for field in frame.fields[after : after + outs])
            return InferRequest(inputs, outputs, _headers(frame.fields, after + outs, read))
    except (ValueError, IndexError, TypeError, struct.error) as error:
        raise FrameError("a request that makes no sense: %s" % error) from error
    raise FrameError("kind %d is no request" % frame.kind)


def write_reply(reply: Reply) -> Message:
    """Write a reply that comes in one piece."""
    if type(reply) is Scored:
        return Message(SCORED, [_ELAPSED.pack(reply.elapsed_ms), reply.body])
    if type(reply) is Inferred:
        fields: List[Plain] = [_ELAPSED.pack(reply.elapsed_ms)]
        _write_tensors(reply.outputs, fields)
        return Message(INFERRED, fields)
    if type(reply) is HttpReply:
        fields = [_HTTP.pack(reply.status, reply.run_failed, reply.elapsed_ms), reply.body]
        return Message(HTTP, fields + list(chain.from_iterable(reply.headers)))
    raise FrameError("a %s is no reply" % type(reply).__name__)


def read_reply(frame: Frame, read: Read) -> Union[Reply, Failure]:
    """Read what `write_reply` or `write_failure` wrote. Raises `FrameError`."""
    kind, fields = frame.kind, frame.fields
    try:
        if kind == SCORED:
            return Scored(_copy(read(fields[1])), *_ELAPSED.unpack(_plain(fields[0])))
        if kind == INFERRED:
            outputs = _tensors(fields, 1, (len(fields) - 1) // 2, read)
            return Inferred(outputs, *_ELAPSED.unpack(_plain(fields[0])))
        if kind == HTTP:
            status, run_failed, elapsed_ms = _HTTP.unpack(_plain(fields[0]))
            return HttpReply(
                status, _headers(fields, 2, read), _copy(read(fields[1])), run_failed, elapsed_ms
            )
        if kind == FAILED:
            return read_failure(fields, read)
    except (ValueError, IndexError, TypeError, struct.error) as error:
        raise FrameError("a reply that makes no sense: %s" % error) from error
    raise FrameError("kind %d is no reply" % kind)


def write_failure(failure: Failure) -> list[Plain]:
    """Write a failure: its kind, what it says, where, and the status it asks for."""
    place, status = getattr(failure, "place", ""), getattr(failure, "status", 0)
    return [
        failure.kind.encode(),
        str(failure).encode("utf-8", "replace"),
        place.encode("utf-8", "replace"),
        _STATUS.pack(status),
    ]


def read_failure(fields: Sequence[Union[bytes, Reference]], read: Read) -> Failure:
    """Read what `write_failure` wrote."""
    kind, said, place, status = (_copy(read(field)) for field in fields)
    message = said.decode()
    if kind == BadInput.kind.encode():
        return BadInput(message, place=place.decode(), status=_STATUS.unpack(status)[0])
    return _FAILURES.get(kind, ScriptRaised)(message)


def write_head(status: int, headers: HeaderList, elapsed_ms: float) -> list[Plain]:
    """Write how a streamed answer begins."""
    return [_HEAD.pack(status, elapsed_ms), *chain.from_iterable(headers)]


def read_head(fields: Sequence[Union[bytes, Reference]], read: Read) -> tuple[int, HeaderList, float]:
    """Read what `write_head` wrote. Raises `FrameError`."""
    try:
        status, elapsed_ms = _HEAD.unpack(_plain(fields[0]))
        return status, _headers(fields, 1, read), elapsed_ms
    except (ValueError, IndexError, TypeError, struct.error) as error:
        raise FrameError("a stream that begins in no way we know") from error


def write_tensors(tensors: Sequence[Tensor]) -> list[Plain]:
    """Write one part of a streamed answer."""
    fields: List[Plain] = []
    _write_tensors(tensors, fields)
    return fields


def read_tensors(fields: Sequence[Union[bytes, Reference]], read: Read) -> tuple[Tensor, ...]:
    """Read what `write_tensors` wrote. Raises `FrameError`."""
    try:
        return _tensors(fields, 0, len(fields) // 2, read)
    except (ValueError, IndexError, TypeError, struct.error) as error:
        raise FrameError("tensors that make no sense") from error


def _write_tensors(tensors: Sequence[Tensor], fields: list[Plain]) -> None:
    for name, datatype, shape, data in tensors:
        describe = _describe if len(name) <= _SHORT_NAME and len(shape) <= _LOW_RANK else _described
        fields += (describe(name, datatype, tuple(shape)), _octets(data))


def _tensors(
    fields: Sequence[Union[bytes, Reference]], start: int, count: int, read: Read
) -> tuple[Tensor, ...]:
    tensors = []
    for at in range(start, start + 2 * count, 2):
        said = read(fields[at])
        understand = _understand if type(said) is bytes and len(said) <= _SHORT_DESCRIPTION else _understood
        tensors.append(Tensor(*understand(said), read(fields[at + 1])))
    return tuple(tensors)


def _described(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """Write all of a tensor but its data."""
    words = (name.encode(), datatype.encode())
    return _DESCRIPTION.pack(*map(len, words)) + b"".join(words) + struct.pack("<%dq" % len(shape), *shape)


def _understood(said: Union[bytes, memoryview]) -> tuple[str, str, tuple[int, ...]]:
    """Read what `_described` wrote."""
    name, datatype = _DESCRIPTION.unpack_from(said)
    at = _DESCRIPTION.size + name
    if at + datatype > len(said):
        raise ValueError("a tensor's description that ends too soon")
    dimensions = said[at + datatype :]
    return (
        str(said[_DESCRIPTION.size : at], "utf-8"),
        str(said[at : at + datatype], "utf-8"),
        struct.unpack("<%dq" % (len(dimensions) // _DIMENSION_BYTES), dimensions),
    )


_describe = lru_cache(maxsize=_REMEMBERED)(_described)
_understand = lru_cache(maxsize=_REMEMBERED)(_understood)


def _headers(fields: Sequence[Union[bytes, Reference]], start: int, read: Read) -> list[tuple[bytes, bytes]]:
    if len(fields) <= start:
        return []
    flat = [_copy(read(field)) for field in fields[start:]]
    if len(flat) % 2:
        raise FrameError("a header without its value")
    return list(zip(flat[::2], flat[1::2]))  # Python 3.8 knows no strict=


def _octets(data: Buffer) -> Buffer:
    """Return the buffer with one item for each byte, so that its length is its size."""
    if type(data) is bytes:
        return data
    view = data if type(data) is memoryview else memoryview(data)
    if view.format == "B" and view.ndim == 1:
        return view
    return view.cast("B") if view.nbytes else b""


def _plain(field: Union[bytes, Reference]) -> bytes:
    if type(field) is Reference:
        raise FrameError("a number in shared memory")
    return field  # type: ignore[return-value]  # told apart above


def _text(field: Union[bytes, Reference], read: Read) -> str:
    return str(read(field), "utf-8")


def _copy(data: Union[bytes, memoryview]) -> bytes:
    return data if type(data) is bytes else bytes(data)
