"""A client of rattler's for some channels: their addresses stay clean, credentials go into requests alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from modelyard.api import UserError
from modelyard.environments.conda.channels import Channel

if TYPE_CHECKING:
    from rattler import Client

_RETRIES = 3


def client_for(channels: Sequence[Channel]) -> Client:
    """Make a client that shows each channel its own credentials and no other channel's.

    The user's proxies (`HTTPS_PROXY`) hold. Raises `UserError` where two channels cannot be told apart.
    """
    from rattler import Client
    from rattler.networking.middleware import AddHeadersMiddleware, MirrorMiddleware, RetryMiddleware

    check_apart(channels)
    # A header of its own is taken off by a redirect to another host; a token lies in the path of its channel.
    return Client(
        [
            RetryMiddleware(_RETRIES),
            AddHeadersMiddleware(headers_for(channels)),
            MirrorMiddleware(tokens_of(channels)),
        ]
    )


def headers_for(channels: Sequence[Channel]) -> Callable[[str, str], dict[str, str] | None]:
    """Say which headers a request to a host and a path gets, from the channel nearest above the path."""
    held = sorted(
        ((urlsplit(one.url), header) for one in channels if (header := _header(one))),
        key=lambda pair: -len(pair[0].path),
    )

    def headers(host: str, path: str) -> dict[str, str] | None:
        for channel, header in held:
            if host.strip("[]") == channel.hostname and _below(path, channel.path):
                return {"Authorization": header}
        return None

    return headers


def tokens_of(channels: Sequence[Channel]) -> dict[str, list[str]]:
    """Give the addresses with tokens in them that requests are sent to, by the clean ones."""
    found: dict[str, list[str]] = {}
    for one in channels:
        if one.credential is None or (token := one.credential.path_token) is None:
            continue
        parts, above = urlsplit(one.url), one.credential.above_token
        path = f"{above}/t/{token.reveal()}{parts.path.removeprefix(above)}/"
        found[f"{one.url}/"] = [urlunsplit((parts.scheme, parts.netloc, path, "", ""))]
    return found


def check_apart(channels: Sequence[Channel]) -> None:
    """Raise `UserError` where one channel's credentials would be shown to another port or scheme of its host.

    A request's headers are chosen by host and path: that is all that rattler tells.
    """
    for one in channels:
        mine = urlsplit(one.url)
        for other in channels if _header(one) else ():
            theirs = urlsplit(other.url)
            same_host = theirs.hostname == mine.hostname and theirs[:2] != mine[:2]
            if same_host and _below(theirs.path, mine.path) and _header(other) != _header(one):
                raise UserError(
                    f"the credentials of {one.url} would be shown to {other.url}",
                    place="environment.conda.channels",
                    remedy="use one of the two, or a token in the path (`/t/<token>/`)",
                )


def _header(channel: Channel) -> str | None:
    return channel.credential.header if channel.credential is not None else None


def _below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")
