"""What channels want to see of who asks, and how to keep it out of everything that is written. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

import attrs

from modelyard.api import Secret
from modelyard.environments.keys import public_address

_MASK = "***"


@attrs.frozen
class Credential:
    """A user with a password, a bearer's token, or a token in the path: `<above>/t/<token>/`."""

    user: str = ""
    password: Secret | None = None
    bearer: Secret | None = None
    path_token: Secret | None = None
    above_token: str = ""

    @property
    def header(self) -> str | None:
        """What the header `Authorization` says; None where it is not needed."""
        if self.bearer is not None:
            return f"Bearer {self.bearer.reveal()}"
        if self.user or self.password is not None:
            password = self.password.reveal() if self.password is not None else ""
            return f"Basic {base64.b64encode(f'{self.user}:{password}'.encode()).decode()}"
        return None

    def secrets(self) -> tuple[str, ...]:
        """Give the clear texts, as they are and as they stand in an address."""
        held = (self.password, self.bearer, self.path_token)
        clear = [one.reveal() for one in held if one is not None]
        return tuple(dict.fromkeys(text for one in clear for text in (one, quote(one, safe=""))))


def read_stored(stored: Mapping[str, object]) -> dict[str, Credential]:
    """Read rattler's store of credentials, by host; kinds that no channel over HTTP has are passed over."""
    found = ((host, _stored(kind)) for host, kind in stored.items())
    return {host.lower(): one for host, one in found if one is not None}


def of_host(stored: Mapping[str, Credential], url: str) -> Credential | None:
    """Find what is stored for an address: for its host, else for `*.` and the nearest domain above."""
    host = urlsplit(url).hostname or ""
    parts = host.split(".")
    names = [host, *(f"*.{'.'.join(parts[at:])}" for at in range(len(parts)))]
    return next((stored[name] for name in names if name in stored), None)


def redacted(text: str, credentials: Iterable[Credential]) -> str:
    """Take credentials out of what a library said."""
    for secret in sorted({one for held in credentials for one in held.secrets()}, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return public_address(text)


def _stored(kind: object) -> Credential | None:
    if not isinstance(kind, Mapping):
        return None
    match dict(kind):
        case {"BearerToken": str(token)}:
            return Credential(bearer=Secret(token))
        case {"CondaToken": str(token)}:
            return Credential(path_token=Secret(token))
        case {"BasicHTTP": {"username": str(user), "password": str(password)}}:
            return Credential(user=user, password=Secret(password))
    return None
