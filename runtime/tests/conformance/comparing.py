"""Two answers to one request, field by field. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

ABSENT = "(absent)"
NEW_ID = "(a new id)"
FIXED_ID_HEADERS = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")
COMPARED_HEADERS = (
    "content-type",
    "x-ms-run-function-failed",
    "x-ms-run-fn-exec-ms",
    "x-ms-server-version",
    *FIXED_ID_HEADERS,
    "traceid",
    "allow",
    "vary",
    "retry-after",
    "location",
    "set-cookie",
    "x-scripts-own",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
)
LONGEST = 6000
"""A longer body is compared by its digest: tables of answers are for reading."""
_NEW = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MILLISECONDS = re.compile(r"\d+\.\d{3}")


class Answer(NamedTuple):
    """What came back; header names in lower case, repeats kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's values, joined in a fixed order; ABSENT where there is none."""
        values = sorted(value for found, value in self.headers if found == name)
        return ", ".join(values) if values else ABSENT


Fields = dict[str, str]
"""An answer as it is compared and recorded."""


class Unequal(NamedTuple):
    """One field of one case that differs."""

    case: str
    field: str
    theirs: str
    ours: str


def differing(case: str, theirs: Fields, ours: Fields) -> Iterator[Unequal]:
    """Yield every field in which two answers differ."""
    for field in [*theirs, *(name for name in ours if name not in theirs)]:
        pair = theirs.get(field, ABSENT), ours.get(field, ABSENT)
        if pair[0] != pair[1]:
            yield Unequal(case, field, *pair)


def fields(answer: Answer) -> Fields:
    """Return what is compared, spelled so that equal means equal to a client; absent headers are left out."""
    found = {"status": str(answer.status), **_body(answer)}
    for name in COMPARED_HEADERS:
        if (value := answer.header(name)) != ABSENT:
            found[name] = _header(name, value)
    if found.get("x-request-id") == NEW_ID and _same_ids(answer):
        found["x-ms-request-id"] = "(as x-request-id)"
    return found


def _same_ids(answer: Answer) -> bool:
    return answer.header("x-ms-request-id") == answer.header("x-request-id")


def _body(answer: Answer) -> dict[str, str]:
    document = _parsed(answer)
    if answer.status >= 400 and isinstance(document, dict) and "message" in document:
        return {"message": str(document["message"]), "keys of the error": ", ".join(sorted(document))}
    if document is not None:
        return {"body": _short(_spelled(document))}
    return {"body": _short(answer.body.decode("utf-8", "backslashreplace"))}


def _short(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"({len(text)} characters, digest {digest})"


def _parsed(answer: Answer) -> Any:
    if not answer.header("content-type").startswith("application/json"):
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _spelled(document: Any) -> str:
    """JSON with sorted keys; null is told from an unparsed body by being text."""
    return json.dumps(document, sort_keys=True)


def _header(name: str, value: str) -> str:
    if name in FIXED_ID_HEADERS and _NEW.fullmatch(value):
        return NEW_ID
    if name == "x-ms-run-fn-exec-ms" and _MILLISECONDS.fullmatch(value):
        return "(milliseconds with 3 decimals)"
    if name in ("allow", "access-control-allow-methods", "vary", "access-control-allow-headers"):
        return ", ".join(sorted(part.strip() for part in value.split(",")))
    return value
