"""What rattler said, as cause, place and remedy. Pure, but for the numbers of a full disk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from modelyard.api import EnvironmentUnsolvable, ModelyardError, SystemError_, Unavailable, UserError
from modelyard.environments.conda.channels import Channel
from modelyard.environments.conda.credentials import redacted
from modelyard.environments.conda.platforms import CondaPlatform
from modelyard.environments.conda.specs import Wanted
from modelyard.environments.steps import full_disk

_LONGEST = 600
_DEPENDENCIES, _CHANNELS = "environment.conda.dependencies", "environment.conda.channels"
_AWAY = ("error sending request", "timed out", "decoding response body", "connection", "server error", "429")
_REFUSED = ("401 ", "403 ", "407 ")
_ABSENT = ("could not find subdir", "404 ", "410 ")


def unsolvable(said: str, wanted: Sequence[Wanted], platform: CondaPlatform) -> EnvironmentUnsolvable:
    """Explain why the dependencies have no solution."""
    why = one_line(said.partition("because of:")[2] or said)
    # Its first words name the dependency that was asked for, what follows is what that one needs.
    blamed = sorted(
        (one for one in wanted if _named(why, one.name) >= 0), key=lambda one: _named(why, one.name)
    )
    missing = re.search(r"(__\w+) ([^,]+), for which no candidates", why)
    if missing:
        remedy = (
            f"the image has {_had(missing[1], platform)}: choose another base image, or older packages"
            f" that do not need {missing[1]} {missing[2]}"
        )
    elif re.match(r"No candidates were found for \S+ \*", why):
        remedy = "check the spelling, or name the channel that has it"
    else:
        remedy = f"relax one of {', '.join(f'`{one.text}`' for one in blamed or wanted)}"
    places = [one.place for one in blamed if one.place]
    return EnvironmentUnsolvable(
        f"the conda dependencies do not resolve for {platform.shown}: {why}",
        place=places[0] if places else _DEPENDENCIES,
        remedy=remedy,
    )


def unreachable(said: str, channels: Iterable[Channel], folder: Path) -> ModelyardError:
    """Explain why a channel, or a package of it, could not be read; `folder` is where it was to be kept."""
    if (full := full_disk(said, folder)) is not None:
        return full
    held = [one.credential for one in channels if one.credential is not None]
    why = one_line(redacted(said, held))
    if any(mark in why for mark in _REFUSED):
        return UserError(
            f"a channel wants other credentials: {why}",
            place=_CHANNELS,
            remedy="store them with rattler's or pixi's `auth login`, or write them into the channel's address",
        )
    if any(mark in why for mark in _ABSENT):
        return EnvironmentUnsolvable(
            f"what a channel should have is not there: {why}",
            place=_CHANNELS,
            remedy="check the channel's name and address, and that it has packages for this platform",
        )
    if "certificate" in why:
        return UserError(
            f"a channel's server cannot be trusted: {why}",
            place=_CHANNELS,
            remedy="name the file of the authority that signed its certificate: SSL_CERT_FILE=/path/to/ca.pem",
        )
    if is_away(said):
        return Unavailable(
            f"a channel does not answer: {why}", place=_CHANNELS, remedy="check the network, then try again"
        )
    return Unavailable(
        f"a channel cannot be read: {why}",
        place=_CHANNELS,
        remedy="tell who keeps the channel; try again when it is mended",
    )


def unlinkable(said: str, folder: Path) -> ModelyardError:
    """Explain why fetched packages could not be laid out."""
    return full_disk(said, folder) or SystemError_(
        f"the conda packages could not be laid out: {one_line(said)}",
        place=str(folder.parent),
        remedy="read rattler's words above; a package may be damaged on its channel",
    )


def is_away(said: str) -> bool:
    """Say whether trying again may help."""
    return any(mark in said.lower() for mark in _AWAY)


def one_line(said: str) -> str:
    """Put what was said on one line, without the lines of a drawn tree."""
    line = " ".join(re.sub(r"[─-╿]", " ", said).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _had(virtual: str, platform: CondaPlatform) -> str:
    version, build = platform.virtual_packages.get(virtual, ("", ""))
    what = build if virtual == "__archspec" else version
    return f"{virtual} {what}" if version else f"no {virtual}"


def _named(why: str, name: str) -> int:
    """Find where a package is spoken of; -1 = nowhere."""
    found = re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", why)
    return found.start() if found is not None else -1
