"""What a registry's answer means to a person: an error with cause, place and remedy.

Pure. What the registry says is quoted short and printable, since a terminal will show it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import attrs
from modelyard.api import Conflict, ModelyardError, NotFound, StoreDamaged, Unavailable, UserError

from modelyard_registry.distribution.messages import Reply, Request
from modelyard_registry.distribution.retrying import is_full

LONGEST_QUOTE = 200
# names for statuses that decide more than one case
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CLASHES = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)


@attrs.frozen
class Said:
    """The registry's own words: the specification's codes, and a sentence."""

    codes: frozenset[str] = frozenset()
    text: str = ""


def place_of(url: str) -> str:
    """Name an address without its query: signatures of storage stand there."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def read_errors(content: bytes) -> Said:
    """Read an error's body; one that is not the specification's says nothing."""
    try:
        entries = [entry for entry in json.loads(content)["errors"] if isinstance(entry, Mapping)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Said()
    texts = [str(entry.get("message") or entry.get("code") or "") for entry in entries]
    return Said(frozenset(str(entry.get("code")) for entry in entries), quote("; ".join(texts)))


def quote(text: str) -> str:
    """Make foreign words fit for a line of a terminal."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text[: LONGEST_QUOTE + 1])
    return plain if len(plain) <= LONGEST_QUOTE else f"{plain[:LONGEST_QUOTE]}..."


def unreachable(url: str, why: Exception) -> Unavailable:
    """Say that a server did not answer."""
    return Unavailable(
        f"the registry does not answer: {why}",
        place=place_of(url),
        remedy="look whether it runs and can be reached from here, then try again",
    )


def refuse(request: Request, reply: Reply, *, login: str) -> ModelyardError:
    """Turn an answer that is no success into the error to raise."""
    said = read_errors(reply.content)
    place = place_of(request.url)
    because = f": {said.text}" if said.text else ""
    if error := _of_this_request(request, reply, said, place):
        return error
    if reply.status in _DENIED:
        return UserError(
            f"the registry lets us not {_verb(request)}{because}",
            place=place,
            remedy=f"run `docker login {login}` as the engine's user, or ask for the right to",
        )
    if reply.status == HTTPStatus.NOT_FOUND:
        return NotFound(f"the registry has no such thing{because}", place=place, remedy="mend the reference")
    if reply.status in _CLASHES:
        return Conflict(
            f"the registry keeps what it has{because}", place=place, remedy="push under another tag"
        )
    return _of_the_server(reply, because, place)


def _of_this_request(request: Request, reply: Reply, said: Said, place: str) -> ModelyardError | None:
    if request.method == "DELETE" and (reply.status == HTTPStatus.METHOD_NOT_ALLOWED or _unsupported(said)):
        return UserError(
            "the registry has deletion switched off",
            place=place,
            remedy="switch it on there (for the distribution registry: storage.delete.enabled: true)",
        )
    if {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"} & said.codes and request.method == "PUT":
        return NotFound(
            f"the registry lacks a blob that the manifest names: {said.text}",
            place=place,
            remedy="push the blobs first",
        )
    if "DIGEST_INVALID" in said.codes:
        return StoreDamaged(
            "what arrived at the registry is not what was sent, or the file changed meanwhile",
            place=place,
            remedy="let nothing write to the file, and push again",
        )
    return None


def _of_the_server(reply: Reply, because: str, place: str) -> ModelyardError:
    if is_full(reply):
        return Unavailable("the registry is full", place=place, remedy="free space there and try again")
    if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return UserError(
            f"the registry, or a proxy before it, takes no body of this size{because}",
            place=place,
            remedy="raise its limit",
        )
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        after = quote(reply.header("retry-after"))
        when = f"try again in {after} s" if after.isdecimal() else "try again later, or log in"
        return Unavailable(f"the registry allows no more requests now{because}", place=place, remedy=when)
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(
            f"the registry fails with status {reply.status}{because}",
            place=place,
            remedy="look at its log, and try again",
        )
    return UserError(
        f"the registry answers with status {reply.status}{because}",
        place=place,
        remedy="look whether a registry is at this address",
    )


def _unsupported(said: Said) -> bool:
    return "UNSUPPORTED" in said.codes


def _verb(request: Request) -> str:
    return {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(request.method, "write")
