"""The engine's own checks as records: a name and a function that looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import attrs

from modelyard.api import Finding, Maturity
from modelyard.builtin import docker, machine, programs, services
from modelyard.processes import Home


@attrs.frozen
class MachineCheck:
    """One aspect of the machine; implements `api.Check`."""

    name: str
    look: Callable[[], tuple[Finding, ...]]
    maturity: Maturity = Maturity.ALPHA

    def run(self) -> tuple[Finding, ...]:
        """Look now."""
        return self.look()


def machine_checks(home: Home, environ: Mapping[str, str]) -> tuple[MachineCheck, ...]:
    """List every check, in the order a person would ask."""
    return (
        MachineCheck("home", partial(machine.home_folders, home)),
        MachineCheck("disk", partial(machine.disk, home)),
        MachineCheck("clock", machine.clock),
        MachineCheck("memory-limits", machine.memory_limits),
        MachineCheck("libpython", programs.libpython),
        MachineCheck("uv", programs.uv),
        MachineCheck("envoy", programs.envoy),
        MachineCheck("router-port", partial(programs.router_port, home)),
        MachineCheck("docker", partial(docker.daemon, environ)),
        MachineCheck("kubernetes", partial(services.kubernetes, environ)),
    )
