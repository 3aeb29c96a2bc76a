"""The hooks of the cpu plugin."""

from __future__ import annotations

from modelyard.api import Candidate, Check, DeviceBackend, Maturity, Refusal, ServiceSpec
from modelyard.hookspecs import hookimpl

from modelyard_cpu import placing
from modelyard_cpu.backend import CpuBackend
from modelyard_cpu.check import CpuCheck

api_level = 1
maturity = Maturity.BETA


@hookimpl
def offer_devices() -> list[DeviceBackend]:
    """Offer the machine's cores and memory."""
    return [CpuBackend()]


@hookimpl
def offer_checks() -> list[Check]:
    """Offer the check `cpu`."""
    return [CpuCheck()]


@hookimpl
def veto_placement(spec: ServiceSpec, candidate: Candidate) -> Refusal | None:
    """Refuse a place with too little of what the spec asks."""
    return placing.refuse(spec.resources, candidate)


@hookimpl
def score_placement(spec: ServiceSpec, candidate: Candidate) -> float | None:
    """Prefer the place that keeps most free."""
    return placing.fraction_left(spec.resources, candidate)
