"""Channels: where conda packages come from, as a conda file names them. Pure.

What a channel's address says about who asks (`user:password@`, `/t/<token>/`) is taken out of it at once
and kept apart: addresses go into keys, locks, logs and images, credentials into requests alone.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

import attrs

from modelyard.api import EnvironmentUnsolvable, Secret
from modelyard.environments.conda.credentials import Credential
from modelyard.environments.conda.settings import CondaSettings

_TOKEN = re.compile(r"^(?P<before>(/[^/]+)*?)/t/(?P<token>[^/]+)(?P<after>(/.*)?)$")
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[\w.-]+)*")


@attrs.frozen
class Channel:
    """A channel's address without credentials and without a slash at its end, and what it wants to see."""

    url: str
    credential: Credential | None = attrs.field(default=None, eq=False)


def find_channels(names: tuple[str, ...], settings: CondaSettings, place: str) -> tuple[Channel, ...]:
    """Find the addresses that channels of a conda file stand for, each once, in their order.

    A file that names none gets those of the user's own settings. Raises `EnvironmentUnsolvable` for what
    is no channel; `place` says where the names stand.
    """
    wanted = names or settings.channels or ("defaults",)
    found = [
        channel
        for index, name in enumerate(wanted)
        for channel in find_channel(name, settings, f"{place}[{index}]" if names else place)
    ]
    first: dict[str, Channel] = {}
    for channel in found:
        first.setdefault(channel.url, channel)
    return tuple(first.values())


def find_channel(name: str, settings: CondaSettings, place: str) -> tuple[Channel, ...]:
    """Find what one name stands for: an address, a folder, a name below the alias, or several channels."""
    if name == "nodefaults":
        return ()
    if "://" in name or name.startswith("/"):
        return (_addressed(name, settings, place),)
    if not _NAME.fullmatch(name):
        raise _no_channel(name, place)
    if name == "defaults" and not settings.default_channels:
        raise EnvironmentUnsolvable(
            "nothing says which channels `defaults` are",
            place=place,
            remedy="name the channels, or set `default_channels` in your .condarc",
        )
    several = settings.default_channels if name == "defaults" else settings.multichannels.get(name)
    if several is not None:
        return tuple(one for part in several for one in _single(part, settings, place))
    return _single(name, settings, place)


def _single(name: str, settings: CondaSettings, place: str) -> tuple[Channel, ...]:
    if "://" in name or name.startswith("/"):
        return (_addressed(name, settings, place),)
    first, _, rest = name.partition("/")
    if (base := settings.custom_channels.get(name)) is not None:
        return (_addressed(f"{base.rstrip('/')}/{name}", settings, place),)
    if (base := settings.custom_channels.get(first)) is not None:
        return (_addressed(f"{base.rstrip('/')}/{first}/{rest}", settings, place),)
    return (_addressed(f"{settings.alias.rstrip('/')}/{name}", settings, place),)


def _addressed(text: str, settings: CondaSettings, place: str) -> Channel:
    """Read an address: what is secret in it apart, the user's own credentials where it has none."""
    if text.startswith("/"):
        text = PurePosixPath(text).as_uri()
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError as error:
        raise _no_channel("an address that cannot be read", place) from error
    if parts.query or parts.fragment or not (parts.hostname or parts.scheme == "file"):
        raise _no_channel("an address that cannot be read", place)
    web = parts.scheme in ("http", "https")
    if not web and (parts.scheme, parts.netloc) != ("file", ""):
        raise _no_channel(f"{parts.scheme}://...", place)
    path, token, above = parts.path, "", ""
    if web and (match := _TOKEN.fullmatch(path)):
        path, token, above = match["before"] + match["after"], match["token"], match["before"]
    host = (parts.hostname or "") if ":" not in (parts.hostname or "") else f"[{parts.hostname}]"
    url = urlunsplit((parts.scheme, host + port, path.rstrip("/"), "", ""))
    written = Credential(
        user=unquote(parts.username or ""),
        password=Secret(unquote(parts.password)) if parts.password else None,
        path_token=Secret(token) if token else None,
        above_token=above,
    )
    return Channel(url, written if written != Credential(above_token=above) else settings.credential(url))


def _no_channel(name: str, place: str) -> EnvironmentUnsolvable:
    return EnvironmentUnsolvable(
        f"{name} is no channel",
        place=place,
        remedy="write a channel's name, an https address, or the absolute path of a folder",
    )
