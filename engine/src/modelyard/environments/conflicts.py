"""Explain why uv found no solution: whose requirement meets whose. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.requirements import Requirement

from modelyard.api import EnvironmentUnsolvable, ModelyardError, Unavailable
from modelyard.environments.calling import wrong_credentials
from modelyard.environments.keys import parse

_LONGEST = 400
_OFFLINE = ("error sending request", "failed to fetch", "could not connect", "dns error", "timed out")
_NO_WHEEL = ("no usable wheels", "no wheels", "building from source is disabled", "no matching")
_UNKNOWN = ("was not found in the", "were not found in the")
_PLACE = "environment.requirements"


def explain(output: str, requirements: Sequence[str], runtime_requires: Sequence[str]) -> ModelyardError:
    """Turn uv's words into an error of one or two lines."""
    said = reason(output)
    lower = output.lower()
    user = [one for line in requirements if (one := parse(line)) is not None]
    if (refused := wrong_credentials(output)) is not None:
        return refused
    if any(mark in lower for mark in _OFFLINE):
        return Unavailable(
            f"the package index does not answer: {said}",
            place=_PLACE,
            remedy="check the network, or name another index in uv's settings (UV_DEFAULT_INDEX)",
        )
    ours = [Requirement(line) for line in runtime_requires]
    # Unknown names and missing wheels blame a user's line only; else look for two that meet.
    if pair := _clash(said, user, ours):
        mine, theirs = pair
        return EnvironmentUnsolvable(
            f"your `{mine}` meets the runtime's `{theirs}`: {said}",
            place=_PLACE,
            remedy=f"choose a version of {mine.name} that works with {theirs}, or set `isolation: process`",
        )
    blamed = ", ".join(f"`{one}`" for one in user if names(said, one.name))
    if not blamed and (own := next((one for one in ours if names(said, one.name)), None)):
        return EnvironmentUnsolvable(
            f"the runtime's `{own}` cannot be had for this Python and platform: {said}",
            place="environment.python",
            remedy="choose another Python, or set `isolation: process`",
        )
    blamed = blamed or "them"
    if any(mark in lower for mark in _UNKNOWN):
        remedy = f"check the spelling of {blamed}"
    elif any(mark in lower for mark in _NO_WHEEL):
        remedy = (
            f"choose a version of {blamed} that has a wheel for this Python and platform; "
            "source packages are never built here"
        )
    else:
        remedy = f"relax one of {blamed}"
    return EnvironmentUnsolvable(f"the requirements do not resolve: {said}", place=_PLACE, remedy=remedy)


def _clash(
    said: str, user: Sequence[Requirement], ours: Sequence[Requirement]
) -> tuple[Requirement, Requirement] | None:
    """Find a user's and a runtime's requirement in uv's reason, the same package first."""
    if "modelyard-runtime" not in said:
        return None
    pairs = [(mine, theirs) for mine in user for theirs in ours if names(said, mine.name)]
    pairs = [pair for pair in pairs if names(said, pair[1].name)]
    return min(pairs, key=lambda pair: pair[0].name != pair[1].name, default=None)


def names(said: str, package: str) -> bool:
    """Say whether uv's words speak of a package."""
    return re.search(rf"(?<![\w.-]){re.escape(package)}(?![\w-])", said, re.IGNORECASE) is not None


def reason(output: str) -> str:
    """Take uv's reason without its frame, on one line."""
    text = re.sub(r"[\u2500-\u257f\u25b6\u00d7]", " ", output)  # uv draws its reasons as a tree
    _, _, cause = text.partition("cause:")
    cause = (cause or text).partition("hint:")[0]
    cause = re.sub(r"^\s*(error:|No solution found when resolving dependencies:)", "", cause.strip())
    line = " ".join(cause.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
