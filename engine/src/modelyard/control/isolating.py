"""Where a script may run, as far as its service's settings decide it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

from modelyard.api import ServiceSpec, Setting

KEY = "isolation"
EXTRA_REQUIREMENTS = "AZUREML_EXTRA_REQUIREMENTS_TXT"
"""v1: a file beside the entry script; its packages are installed when a replica starts."""


@attrs.frozen
class Wish:
    """`auto` leaves the choice to the environments; `why` says what keeps the script out of a thread."""

    isolation: Literal["auto", "thread", "process"]
    why: str = ""


def wish(spec: ServiceSpec) -> Wish:
    """Read off a spec what is possible; its combinations were checked when it was read."""
    if spec.isolation == "thread":
        return Wish("thread")
    if spec.isolation == "process":
        return Wish("process")
    if spec.workers > 1:
        return Wish("process", f"workers: {spec.workers} needs processes")
    if spec.multi_model.enabled:
        return Wish("process", "multi_model.enabled needs processes, to give memory back")
    if EXTRA_REQUIREMENTS in spec.environment.variables:
        return Wish("process", f"{EXTRA_REQUIREMENTS} brings packages that must not meet the server's")
    return Wish("auto")


def with_isolation(settings: Sequence[Setting], isolation: str, why: str) -> tuple[Setting, ...]:
    """Put the choice that `auto` came to beside it, and why."""
    return tuple(_chosen(one, isolation, why) if one.key == KEY else one for one in settings)


def _chosen(setting: Setting, isolation: str, why: str) -> Setting:
    if setting.value == isolation:
        return setting
    choice = f"{setting.value}: {isolation}" if isolation else setting.value
    return attrs.evolve(setting, value=f"{choice} ({why})" if why else choice)
