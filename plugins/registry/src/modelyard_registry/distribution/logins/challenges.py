"""Read `WWW-Authenticate`: what a registry asks for before it answers.

Pure, linear in the header's length, and never raises: what cannot be read asks for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import attrs

LONGEST_HEADER = 8192
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  RFC 9110's word for a bare word
_GAP = re.compile(r"[ \t,]*")
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|(?=,)|$)")
# some servers leave the quotes out, even around an address
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")


@attrs.frozen
class Challenge:
    """One way to log in. `scheme` and the names of parameters are lower-case."""

    scheme: str
    parameters: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Bearer:
    """Fetch a token from `realm` for `scopes`, and show that."""

    realm: str
    service: str = ""
    scopes: frozenset[str] = frozenset()


@attrs.frozen
class Basic:
    """Show user and password with every request."""


def parse(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Read every challenge of every header line, in order, until one cannot be read."""
    return tuple(found for header in headers for found in _parse(header[:LONGEST_HEADER]))


def choose(challenges: Iterable[Challenge]) -> Bearer | Basic | None:
    """Pick a token before a password: it ends by itself and opens one repository."""
    offered = {challenge.scheme: challenge.parameters for challenge in reversed(list(challenges))}
    bearer = offered.get("bearer", {})
    if realm := bearer.get("realm"):
        return Bearer(realm, bearer.get("service", ""), frozenset(bearer.get("scope", "").split()))
    return Basic() if "basic" in offered else None


def _parse(header: str) -> list[Challenge]:
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while True:
        at = _end(_GAP.match(header, at), at)
        if found and (parameter := _PARAMETER.match(header, at)):
            name, quoted, bare = parameter.groups()
            # the first of two equal parameters counts, for every server alike
            found[-1][1].setdefault(name.lower(), bare or re.sub(r"\\(.)", r"\1", quoted))
            at = parameter.end()
        elif scheme := _SCHEME.match(header, at):
            found.append((scheme[1].lower(), {}))
            at = _end(_token68(header, scheme.end()), scheme.end())
        else:
            return [Challenge(name, parameters) for name, parameters in found]


def _token68(header: str, at: int) -> re.Match[str] | None:
    # "Negotiate YII=" carries one; "Basic realm=x" does not, though it begins alike
    return None if _PARAMETER.match(header, at) else _TOKEN68.match(header, at)


def _end(match: re.Match[str] | None, default: int) -> int:
    return match.end() if match else default
