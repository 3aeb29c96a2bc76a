"""One-shot reports for a machine where no controller runs: plugins are loaded, asked, and let go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from modelyard.api import Device, DeviceHealth, Finding, ModelyardError, PluginRecord, Severity
from modelyard.host import Host

CHECK_SECONDS = 15.0
"""A check has 5 s by its contract; a loaded machine gets some more before it is called broken."""


async def plugins(host: Host) -> tuple[PluginRecord, ...]:
    """List every plugin found."""
    return host.records


async def devices(host: Host) -> tuple[Device, ...]:
    """List every device; a backend that fails is shown as one that is unknown."""
    found: list[Device] = []
    for name, backend in sorted(host.devices.items()):
        try:
            found.extend(await host.call("devices", name, "health"))
        except ModelyardError as error:
            found.append(Device(id=name, kind=backend.kind, health=DeviceHealth.UNKNOWN, reason=str(error)))
    return tuple(found)


async def doctor(host: Host) -> tuple[Finding, ...]:
    """Run every check; one that fails becomes a finding which names its plugin."""
    found: list[Finding] = []
    for name in sorted(host.checks):
        try:
            found.extend(await host.call("checks", name, "run", timeout_seconds=CHECK_SECONDS))
        except ModelyardError as error:
            found.append(Finding(name, name, Severity.ERROR, error.message, error.remedy))
    return tuple(found)


REPORTS: Mapping[str, Callable[[Host], Awaitable[tuple[Any, ...]]]] = {
    "plugins": plugins,
    "devices": devices,
    "doctor": doctor,
}
