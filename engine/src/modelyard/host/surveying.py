"""Ask every plugin about this machine: its devices, its checks. One that fails is shown, never left out."""

from __future__ import annotations

from modelyard.api import Device, DeviceHealth, Finding, ModelyardError, Severity
from modelyard.host.host import Host

CHECK_SECONDS = 15.0
"""A check may take 5 s by its contract; a loaded machine gets some more before its plugin is BROKEN."""


async def survey_devices(host: Host) -> tuple[Device, ...]:
    """List every device with its health; a backend that fails is shown as one that is unknown."""
    found: list[Device] = []
    for name, backend in sorted(host.devices.items()):
        try:
            found.extend(await host.call("devices", name, "health"))
        except ModelyardError as error:
            found.append(Device(id=name, kind=backend.kind, health=DeviceHealth.UNKNOWN, reason=str(error)))
    return tuple(found)


async def survey_checks(host: Host) -> tuple[Finding, ...]:
    """Run every plugin's checks; one that raises becomes a finding which names its plugin."""
    found: list[Finding] = []
    for name in sorted(host.checks):
        try:
            found.extend(await host.call("checks", name, "run", timeout_seconds=CHECK_SECONDS))
        except ModelyardError as error:
            found.append(Finding(name, name, Severity.ERROR, error.message, error.remedy))
    return tuple(found)
