"""What plugins answered when they were asked to decide: held to what they may answer, and put together. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs

from modelyard.api import ImageRef, PluginFailed, Refusal

NO_OPINION = 0.5
"""Score of a place about which no plugin says anything."""

Answer = tuple[str, Any]
"""A plugin's name, and what it answered."""


def judge_image(plugin: str, answer: Any) -> ImageRef | Refusal | None:
    """Take an image or a refusal, the refusal in the plugin's name; None = it passed. Raises `PluginFailed`."""
    if isinstance(answer, Refusal):
        return attrs.evolve(answer, plugin=plugin)
    if answer is None or isinstance(answer, ImageRef):
        return answer
    raise PluginFailed(plugin, "resolve_image", f"it answered {answer!r}, no ImageRef, Refusal or None")


def judge_refusals(answers: Sequence[Answer]) -> tuple[Refusal, ...]:
    """Take every refusal in its plugin's name. Raises `PluginFailed`."""
    for plugin, answer in answers:
        if not isinstance(answer, Refusal):
            raise PluginFailed(plugin, "veto_placement", f"it answered {answer!r}, not a Refusal or None")
    return tuple(attrs.evolve(answer, plugin=plugin) for plugin, answer in answers)


def judge_scores(answers: Sequence[Answer]) -> float:
    """Take the mean of all opinions, `NO_OPINION` of none. Raises `PluginFailed`."""
    for plugin, answer in answers:
        if not _is_score(answer):
            raise PluginFailed(plugin, "score_placement", f"it answered {answer!r}, not a number from 0 to 1")
    return math.fsum(answer for _, answer in answers) / len(answers) if answers else NO_OPINION


def _is_score(answer: object) -> bool:
    number = isinstance(answer, int | float) and not isinstance(answer, bool)
    return number and 0 <= float(answer) <= 1  # type: ignore[arg-type]  # narrowed by `number`
