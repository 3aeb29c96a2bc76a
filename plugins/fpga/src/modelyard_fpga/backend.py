"""The device backend `fpga`: cards found by sysfs, described by tools, granted whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs
from modelyard.api import Device, DeviceGrant, DeviceHealth, DeviceRequest, Maturity, Refusal

from modelyard_fpga.cards import Card, build_cards
from modelyard_fpga.sysfs import read_functions, read_managers
from modelyard_fpga.tools import ToolReport, ask_tools


@attrs.frozen
class FpgaBackend:
    """Finds and grants FPGA cards; `root` holds `sys` and `dev`, `tools` asks the vendors' programs."""

    root: Path = Path("/")
    tools: Callable[[], tuple[ToolReport, ...]] = ask_tools
    name: str = "fpga"
    kind: str = "fpga"
    maturity: Maturity = Maturity.ALPHA

    def discover(self) -> tuple[Device, ...]:
        """List every card."""
        return tuple(card.device for card in self._cards())

    def health(self) -> tuple[Device, ...]:
        """List every card, judged now."""
        return self.discover()

    def request(self, request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:
        """Grant the first cards that fit."""
        return choose(self._cards(), request, in_use)

    def _cards(self) -> tuple[Card, ...]:
        functions, managers = read_functions(self.root), read_managers(self.root)
        # a machine without a card does not pay for starting its tools
        return build_cards(functions, managers, self.tools() if functions else ())


def choose(cards: tuple[Card, ...], request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:
    """Choose cards of the model asked for that are free and not known to be bad; judged ones first."""
    named = [one for one in cards if request.model.lower() in one.device.model.lower()]
    good = [one for one in named if one.device.health is not DeviceHealth.UNHEALTHY]
    free = [one for one in good if one.device.id not in in_use]
    free.sort(key=lambda card: card.device.health is not DeviceHealth.HEALTHY)
    if request.memory_bytes > 0:
        return _refuse_memory(request)
    if len(free) < request.count:
        return _refuse_short(request, found=len(named), good=len(good), free=len(free))
    return grant(tuple(free[: request.count]))


def grant(cards: tuple[Card, ...]) -> DeviceGrant:
    """Hand over device files, the environment and the resources of Kubernetes."""
    ids = tuple(card.device.id for card in cards)
    addresses = ",".join(one.removeprefix("fpga-") for one in ids)
    return DeviceGrant(
        backend="fpga",
        device_ids=ids,
        environment={
            "MODELYARD_FPGA_DEVICES": addresses,
            "NVIDIA_VISIBLE_DEVICES": "void",
            "CUDA_VISIBLE_DEVICES": "",
        },
        device_nodes=tuple(dict.fromkeys(node for card in cards for node in card.nodes)),
        extended_resources=dict(Counter(card.resource for card in cards if card.resource)),
    )


def _refuse_short(request: DeviceRequest, *, found: int, good: int, free: int) -> Refusal:
    model = f" of model {request.model!r}" if request.model else ""
    return Refusal(
        plugin="fpga",
        code="fpga_short",
        message=f"{request.count} FPGA{model} asked, {free} free ({found} found, {good} of them usable)",
        remedy="ask for fewer, free one, or run `engine doctor` to see why a card is not usable"
        if found
        else "add a card of that kind, or put another accelerator on the preference list",
        numbers={"asked": request.count, "found": found, "usable": good, "free": free},
        retryable=good > free,
    )


def _refuse_memory(request: DeviceRequest) -> Refusal:
    asked_mib = request.memory_bytes / 1024**2
    return Refusal(
        plugin="fpga",
        code="fpga_memory_unknown",
        message=f"{asked_mib:.0f} MiB of card memory asked; cards do not tell how much they have",
        remedy="name the card's model and leave its memory out",
        numbers={"asked_mib": asked_mib},
    )
