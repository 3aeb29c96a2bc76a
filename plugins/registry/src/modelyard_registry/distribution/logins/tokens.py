"""Ask a token server, and read its answer.

Pure. The protocol is the distribution project's token specification: GET with a password, POST with an
identity token.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

import attrs
from modelyard.api import Secret

from modelyard_registry.distribution.logins.challenges import Bearer
from modelyard_registry.distribution.logins.credentials import Credentials, basic_header
from modelyard_registry.distribution.messages import Request, of_bytes

CLIENT = "modelyard"
SHORTEST_LIFE_SECONDS = 60
"""What the specification says where a server says nothing, or less."""
LONGEST_LIFE_SECONDS = 24 * 3600
EARLY_SECONDS = 15
"""A token is left this long before its end: a request under way must not outlive it."""


@attrs.frozen
class Token:
    """A bearer token; `expires_at` is on the caller's clock."""

    secret: Secret
    expires_at: float

    def is_fresh(self, now: float) -> bool:
        """Say whether a request that starts now may carry it."""
        return now < self.expires_at - EARLY_SECONDS


def request_token(bearer: Bearer, scopes: frozenset[str], credentials: Credentials | None) -> Request:
    """Say what to send to the realm, which was checked before."""
    fields = [("service", bearer.service)] if bearer.service else []
    if credentials and credentials.is_identity_token:
        form = [
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT),
            ("refresh_token", credentials.secret.reveal()),
            *([("scope", " ".join(sorted(scopes)))] if scopes else []),
        ]
        body = of_bytes(urlencode(fields + form).encode())
        return Request("POST", bearer.realm, {"Content-Type": "application/x-www-form-urlencoded"}, body)
    query = urlencode(fields + [("scope", scope) for scope in sorted(scopes)])
    joint = "&" if "?" in bearer.realm else "?"
    url = f"{bearer.realm}{joint}{query}" if query else bearer.realm
    return Request("GET", url, basic_header(credentials) if credentials else {})


def read_token(content: bytes, now: float) -> Token:
    """Read the answer; `ValueError` says what is wrong with it, and never quotes it."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("the token server's answer is no JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("the token server's answer is no mapping")  # noqa: TRY004  one kind for every damage
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ValueError("the token server's answer has no token")
    return Token(Secret(token), now + _life_seconds(answer.get("expires_in")))


def _life_seconds(told: object) -> float:
    # the life counts from when we asked: `issued_at` would trust the other side's clock
    if isinstance(told, bool) or not isinstance(told, int | float):
        return SHORTEST_LIFE_SECONDS
    return min(max(told, SHORTEST_LIFE_SECONDS), LONGEST_LIFE_SECONDS)
