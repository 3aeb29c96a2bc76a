"""What is asked, of whom: each group is one entry script and the requests that both servers get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One request. `name` is unique in its group."""

    name: str
    method: str = "POST"
    path: str = "/score"
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Group(NamedTuple):
    """One script, how both servers are started with it, and its requests in order."""

    name: str
    script: str
    cases: tuple[Case, ...]
    variables: Mapping[str, str] = {}
    """Environment variables of both servers."""
    contract: Mapping[str, Any] = {}
    """Fields of our start contract that say the same to us."""
    files: Mapping[str, str] = {}
    """Files beside the script, in the app root."""


JSON_TYPE = {"Content-Type": "application/json"}


def posted(name: str, body: str | bytes, **headers: str) -> Case:
    """Return a POST of `body` with the content type that schemas ask for."""
    raw = body if isinstance(body, bytes) else body.encode()
    return Case(name, body=raw, headers={**JSON_TYPE, **{k.replace("_", "-"): v for k, v in headers.items()}})


def evaluated(name: str, expression: str) -> Case:
    """Return a request whose answer is the value of `expression`, in scripts that evaluate their text."""
    return Case(name, body=expression.encode())


def got(name: str, path: str, **headers: str) -> Case:
    """Return a GET."""
    return Case(name, "GET", path, headers=headers)
