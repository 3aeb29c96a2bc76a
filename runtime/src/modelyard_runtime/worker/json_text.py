"""JSON in and out: one set of rules, listed in docs/reference/entry-scripts.md.

Requests are read by the standard library alone, so that they mean the same in every environment. Results
are written by orjson where the process has it, which writes the same documents, only sooner.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any, Callable, Iterator

from .failures import BadInput, InputBroke, ResultUnusable
from .plain import MAX_DEPTH, Unwritable, numbers_of, plain, stand_in

EMPTY = b"{}"
"""What v1 answers when `run()` returns None."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""As signed bytes: one level down, one level up."""


def parse_as_v1(body: bytes) -> Any:
    """Read a JSON document as v1 did, NaN and lone surrogates too. Raises `BadInput`, `InputBroke`."""
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise BadInput(str(error)) from None
    except (ValueError, RecursionError) as error:  # no UTF-8, digits or brackets without end
        raise InputBroke(f"the JSON could not be read: {error}") from error


def parse(body: bytes) -> Any:
    """Read a JSON document. Raises `BadInput`."""
    if deeper_than(MAX_DEPTH, body):
        raise BadInput(f"the JSON is nested more than {MAX_DEPTH} levels deep")
    try:
        document = json.loads(body, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise BadInput(f"Input cannot be decoded as UTF-8: {error}") from None
    except RecursionError:
        raise BadInput(f"the JSON is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise BadInput(str(error)) from None
    if _SURROGATE.search(body):
        _check_texts(document)
    return document


def deeper_than(limit: int, body: bytes) -> bool:
    """Say whether brackets nest deeper, without recursion. Text in no JSON at all may answer either."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", body).translate(None, _NO_BRACKETS)
    return max(accumulate(memoryview(brackets.translate(_STEPS)).cast("b")), default=0) > limit


def write(result: Any) -> bytes:
    """Write what a script returned. Raises `ResultUnusable`."""
    if result is None:
        return EMPTY
    try:
        return _quickly(result)
    except (TypeError, ValueError, RecursionError):
        return _thoroughly(result)


def write_as_v1(result: Any) -> bytes:
    """Write what a script returned byte for byte as v1 did. Raises `ResultUnusable`."""
    if result is None:
        return EMPTY
    try:
        return json.dumps(result).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _unusable(result, str(error)) from error


def write_thoroughly(result: Any) -> bytes:
    """Write with the standard library, every value by our own rules. Raises `ResultUnusable`."""
    return EMPTY if result is None else _thoroughly(result)


def _thoroughly(result: Any) -> bytes:
    try:
        text = json.dumps(plain(result), ensure_ascii=False, separators=(",", ":"))
    except (Unwritable, ValueError, RecursionError) as error:
        raise _unusable(result, str(error)) from None
    try:
        return text.encode()
    except UnicodeEncodeError:  # lone surrogates: JSON can hold them as escapes only
        return json.dumps(json.loads(text), separators=(",", ":")).encode()


def _standard(result: Any) -> bytes:
    text = json.dumps(result, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if deeper_than(MAX_DEPTH, text):
        raise ValueError("nested too deep")
    return text


def _quick_writer() -> Callable[[Any], bytes]:
    try:
        import orjson
    except ImportError:
        return _standard
    if not hasattr(orjson, "Fragment"):  # before 3.9
        return _standard
    dumps, fragment = orjson.dumps, orjson.Fragment
    options = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
    arrays = orjson.OPT_SERIALIZE_NUMPY

    def default(value: Any) -> Any:
        numbers = numbers_of(value)
        return stand_in(value) if numbers is None else fragment(dumps(numbers, option=arrays))

    return lambda result: dumps(result, default=default, option=options)


_quickly = _quick_writer()


def _unusable(result: Any, why: str) -> ResultUnusable:
    return ResultUnusable(f"run() returned a {type(result).__name__} that JSON cannot carry: {why}")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _check_texts(document: Any) -> None:
    for place, text in _texts(document):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadInput("a text holds half of a surrogate pair", place=place) from None


def _texts(document: Any) -> Iterator[tuple[str, str]]:
    stack = [("", document)]
    while stack:
        place, value = stack.pop()
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, list):
            stack += [(f"{place}[{number}]", item) for number, item in enumerate(value)]
        elif isinstance(value, dict):
            for key, item in value.items():
                yield place, key
                stack.append((f"{place}.{key}" if place else key, item))
