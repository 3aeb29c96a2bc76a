"""The check `cpu`: what of this machine replicas may use."""

from __future__ import annotations

import attrs
from modelyard.api import Finding, Maturity, ResourceSpec, Severity

from modelyard_cpu.machine import Machine, MachineReader

MIB = 1024**2
LEAST_MILLICORES = 1000
"""Under one whole core the engine, its router and a replica wait for each other."""


@attrs.frozen
class CpuCheck:
    """Shows cores, memory and cgroup limits."""

    reader: MachineReader = attrs.field(factory=MachineReader)
    name: str = "cpu"
    maturity: Maturity = Maturity.BETA

    def run(self) -> tuple[Finding, ...]:
        """Look now."""
        machine = self.reader.read()
        return (judge_cores(machine), judge_memory(machine), describe_limits(machine))


def judge_cores(machine: Machine) -> Finding:
    """Warn of less than one core."""
    low = machine.millicores < LEAST_MILLICORES
    return Finding(
        check="cpu",
        subject="cores",
        severity=Severity.WARNING if low else Severity.OK,
        message=f"{machine.millicores / 1000:g} usable of {machine.affinity_cores} cores"
        + (f" ({' '.join(machine.simd)})" if machine.simd else ""),
        fix="raise the CPU quota of the container or service that runs the engine" if low else "",
    )


def judge_memory(machine: Machine) -> Finding:
    """Warn of less memory than one replica asks for by default."""
    low = machine.memory_bytes < ResourceSpec().memory_bytes
    return Finding(
        check="cpu",
        subject="memory",
        severity=Severity.WARNING if low else Severity.OK,
        message=f"{machine.memory_bytes // MIB} MiB usable of {machine.memory_total_bytes // MIB} MiB",
        fix="raise the memory limit, or set resources.memory in engine.yaml" if low else "",
    )


def describe_limits(machine: Machine) -> Finding:
    """Tell which limits were found; having one is no fault."""
    limits = machine.limits
    told = []
    if limits.cpu_millicores is not None:
        told.append(f"CPU {limits.cpu_millicores}m")
    if limits.memory_bytes is not None:
        told.append(f"memory {limits.memory_bytes // MIB} MiB")
    where = f"cgroup {' and '.join(limits.versions)}" if limits.versions else "no cgroups"
    return Finding(
        check="cpu",
        subject="limits",
        severity=Severity.INFO,
        message=f"{where}: {', '.join(told) or 'no limits'}",
    )
