"""What the host knows of a plugin."""

from __future__ import annotations

import enum

import attrs

API_LEVEL = 1
"""The level this host speaks. A plugin says its own as the integer attribute `api_level`."""

SERVED_API_LEVELS = (1,)
"""Levels served, through shims where older than `API_LEVEL`; the last two once there are two."""


class PluginState(enum.Enum):
    """ACTIVE takes part, DISABLED was switched off by configuration, BROKEN failed and is left out."""

    ACTIVE = "active"
    DISABLED = "disabled"
    BROKEN = "broken"


class Maturity(enum.Enum):
    """How far a plugin or a hook may be relied on."""

    ALPHA = "alpha"
    BETA = "beta"
    STABLE = "stable"


@attrs.frozen
class PluginRecord:
    """One line of `engine plugins list`; nothing is ever dropped in silence."""

    name: str
    distribution: str
    version: str
    api_level: int | None
    state: PluginState
    reason: str = ""
    hooks: tuple[str, ...] = ()
    maturity: Maturity = Maturity.ALPHA
    offers: tuple[str, ...] = ()
    """Names of the records it offered, as `kind:name` (`devices:cpu`)."""
    required: bool = False
