"""What a plan finds out about a service's environment without building it. Pure."""

from __future__ import annotations

import attrs

LOOK_SECONDS = 20.0
"""What a plan may spend on resolving, well within what its caller waits."""


@attrs.frozen
class Look:
    """`key` is empty while it is not known; `miss` says what makes it another than was built before.

    `place` is the registry that has it, empty where none is asked.
    """

    key: str = ""
    cached: bool = False
    isolation: str = ""
    why: str = ""
    miss: str = ""
    place: str = ""
    base: str = ""
    """What it stands on, and who signed that; empty = it stands on no image, or that is not known."""


def postponed(isolation: str, error: Exception) -> Look:
    """Say that it could not be found out in time."""
    because = str(error) or "resolving takes long"
    return Look(isolation="" if isolation == "auto" else isolation, why=f"to be found out: {because}")
