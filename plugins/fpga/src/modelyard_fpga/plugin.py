"""The hooks of the fpga plugin."""

from __future__ import annotations

from modelyard.api import Check, DeviceBackend, Maturity
from modelyard.hookspecs import hookimpl

from modelyard_fpga.backend import FpgaBackend
from modelyard_fpga.check import FpgaCheck

api_level = 1
maturity = Maturity.ALPHA


@hookimpl
def offer_devices() -> list[DeviceBackend]:
    """Offer the machine's FPGA cards."""
    return [FpgaBackend()]


@hookimpl
def offer_checks() -> list[Check]:
    """Offer the check `fpga`."""
    return [FpgaCheck()]
