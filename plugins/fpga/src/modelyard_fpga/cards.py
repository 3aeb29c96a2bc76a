"""Turn what sysfs and tools say into devices, and judge their health.

Pure: values in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import attrs
from modelyard.api import Device, DeviceHealth

from modelyard_fpga.sysfs import Function, Manager
from modelyard_fpga.tools import ToolReport

GOOD_STATE = "operating"
UNJUDGED_STATES = frozenset({"", "unknown"})
_LONGEST_RESOURCE_NAME = 63


@attrs.frozen
class Card:
    """One device with what a grant needs: its nodes and the name it has in Kubernetes."""

    device: Device
    nodes: tuple[str, ...]
    resource: str


def build_cards(
    functions: Sequence[Function], managers: Iterable[Manager], reports: Iterable[ToolReport]
) -> tuple[Card, ...]:
    """Make one card of each slot: of an XRT pair, the half that computes."""
    managers, reports = tuple(managers), tuple(reports)
    pci = tuple(
        _card(attrs.evolve(one, nodes=_slot_nodes(one, functions)), managers, reports)
        for one in functions
        if _computes(one, functions)
    )
    soc = tuple(_soc_card(one) for one in managers if not one.address)
    return pci + soc


def judge_state(manager: Manager) -> tuple[DeviceHealth, str]:
    """Judge the kernel's word for a manager's state."""
    if manager.state == GOOD_STATE:
        return DeviceHealth.HEALTHY, ""
    if manager.state in UNJUDGED_STATES:
        return DeviceHealth.UNKNOWN, "the kernel does not know its state"
    told = f" ({manager.status})" if manager.status else ""
    return DeviceHealth.UNHEALTHY, f"the kernel's FPGA manager {manager.id} says {manager.state!r}{told}"


def _computes(function: Function, functions: Sequence[Function]) -> bool:
    if not function.management_only:
        return True
    return not any(one.card == function.card and not one.management_only for one in functions)


def _slot_nodes(function: Function, functions: Sequence[Function]) -> tuple[str, ...]:
    """Give the function's device files, then those of the management half of its card."""
    halves = (one for one in functions if one.card == function.card and one.management_only)
    managed = (node for half in halves for node in half.nodes)
    return tuple(dict.fromkeys((*function.nodes, *managed))) if function.nodes else ()


def _card(function: Function, managers: tuple[Manager, ...], reports: tuple[ToolReport, ...]) -> Card:
    told = {
        name: text for one in reports for name, text in one.facts.get(function.address, {}).items() if text
    }
    health, reason = _judge(function, managers, told)
    attributes = {"driver": function.driver, "vendor": function.vendor, **told, **function.attributes}
    device = Device(
        id=f"fpga-{function.address}",
        kind="fpga",
        model=function.attributes.get("vbnv") or told.get("vbnv") or function.model,
        numa_node=function.numa_node,
        health=health,
        reason=reason,
        attributes={name: value for name, value in attributes.items() if value},
    )
    return Card(device=device, nodes=function.nodes, resource=_resource(device))


def _judge(
    function: Function, managers: tuple[Manager, ...], told: dict[str, str]
) -> tuple[DeviceHealth, str]:
    if fault := _fault(function, told):
        return DeviceHealth.UNHEALTHY, fault
    verdicts = [judge_state(one) for one in managers if one.address == function.address]
    for worst in (DeviceHealth.UNHEALTHY, DeviceHealth.UNKNOWN):
        for verdict in verdicts:
            if verdict[0] is worst:
                return verdict
    if verdicts or told.get("ready") == "true":
        return DeviceHealth.HEALTHY, ""
    return DeviceHealth.UNKNOWN, "neither the kernel nor a tool judges it"


def _fault(function: Function, told: dict[str, str]) -> str:
    if not function.driver:
        return "no driver is bound to it"
    if function.management_only:
        return "only its management function is visible; its user function is missing"
    if told.get("ready") == "false":
        return "XRT says that it is not ready"
    if not function.nodes:
        return f"its driver {function.driver} made no device file that a program could open"
    return ""


def _soc_card(manager: Manager) -> Card:
    health, reason = judge_state(manager)
    device = Device(
        id=f"fpga-{manager.id}",
        kind="fpga",
        model=manager.name,
        health=health,
        reason=reason,
        attributes={"manager": manager.id, "state": manager.state},
    )
    return Card(device=device, nodes=(), resource="")


def _resource(device: Device) -> str:
    """Name the card as its maker's Kubernetes device plugin does."""
    facts = device.attributes
    if shell := facts.get("vbnv"):
        name = f"{shell}-{facts.get('shell_timestamp', '0')}"
        return f"amd.com/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:_LONGEST_RESOURCE_NAME]}"
    if interface := facts.get("interface_id"):
        return f"fpga.intel.com/region-{interface}"[: len("fpga.intel.com/") + _LONGEST_RESOURCE_NAME]
    return ""
