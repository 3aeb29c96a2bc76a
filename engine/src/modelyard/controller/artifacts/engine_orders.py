"""What may be asked of the engine's own image: its release, its platform, its tag."""

from __future__ import annotations

import re

from modelyard import __version__
from modelyard.api import Platform, UserError
from modelyard.controller.artifacts.places import platform_for, read_platform

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def check_release(version: str, place: str) -> None:
    """Raise `UserError` for another release: how its controller is started in a container is for itself to know."""
    if version != __version__:
        raise UserError(
            f"the wheels are of modelyard {version}, and this engine is {__version__}",
            place=place,
            remedy="install those wheels and build with them, or take wheels of this release",
        )


def platform_asked(text: str) -> Platform:
    """Read a platform that the engine exists for; empty = this machine's. Raises `UserError`."""
    return read_platform(text, runs="the engine's image is of") if text else platform_for(())


def read_tag(asked: str, version: str) -> str:
    """Read a tag; empty = the release's. Raises `UserError`."""
    tag = asked or version.replace("+", "-")  # a version of one's own may have what no tag has
    if not _TAG.fullmatch(tag):
        raise UserError(
            f"{tag!r} is no tag",
            place="--tag",
            remedy="give letters, digits, dots, dashes and underscores, at most 128, as 1.2-rc1",
        )
    return tag
