"""One-shot reports for a machine where no controller runs: plugins are loaded, asked, and let go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from modelyard.api import PluginRecord
from modelyard.host import Host, survey_checks, survey_devices


async def plugins(host: Host) -> tuple[PluginRecord, ...]:
    """List every plugin found."""
    return host.records


REPORTS: Mapping[str, Callable[[Host], Awaitable[tuple[Any, ...]]]] = {
    "plugins": plugins,
    "devices": survey_devices,
    "doctor": survey_checks,
}
