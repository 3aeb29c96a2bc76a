"""The check `fpga`: which cards there are, whether they work, and what their tools say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
from modelyard.api import Device, DeviceHealth, Finding, Maturity, Severity

from modelyard_fpga.cards import build_cards
from modelyard_fpga.sysfs import read_functions, read_managers
from modelyard_fpga.tools import ToolReport, ask_tools


@attrs.frozen
class FpgaCheck:
    """Shows cards and tools; a machine without an FPGA is no fault."""

    root: Path = Path("/")
    tools: Callable[[], tuple[ToolReport, ...]] = ask_tools
    name: str = "fpga"
    maturity: Maturity = Maturity.ALPHA

    def run(self) -> tuple[Finding, ...]:
        """Look now."""
        functions, managers = read_functions(self.root), read_managers(self.root)
        reports = self.tools() if functions else ()
        cards = build_cards(functions, managers, reports)
        if not cards:
            return (Finding("fpga", "cards", Severity.INFO, "no FPGA found"),)
        tools = [_judge_tool(one) for one in reports] or [_no_tools()]
        return (*(_judge_card(card.device) for card in cards), *tools)


def _judge_card(device: Device) -> Finding:
    if device.health is DeviceHealth.HEALTHY:
        return Finding("fpga", device.id, Severity.OK, device.model)
    if device.health is DeviceHealth.UNKNOWN:
        return Finding("fpga", device.id, Severity.INFO, f"{device.model}: {device.reason}")
    return Finding(
        "fpga",
        device.id,
        Severity.WARNING,
        f"{device.model}: {device.reason}",
        fix="install the card's driver (xocl from XRT, or dfl-pci), load its shell, and look into `dmesg`",
    )


def _judge_tool(report: ToolReport) -> Finding:
    if report.problem:
        return Finding(
            "fpga",
            report.tool,
            Severity.WARNING,
            f"{report.tool}: {report.problem}",
            fix=f"run `{report.tool}` by hand as the engine's user and mend what it says",
        )
    return Finding("fpga", report.tool, Severity.OK, f"describes {len(report.facts)} cards")


def _no_tools() -> Finding:
    return Finding(
        "fpga", "tools", Severity.INFO, "neither XRT nor OPAE is installed; sysfs alone describes cards"
    )
