"""Make plugins inside a test: an entry point that nobody had to install."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from types import ModuleType

import attrs

from modelyard.api import API_LEVEL, Maturity
from modelyard.hookspecs import GROUP, hookimpl


@attrs.frozen
class FakeDistribution:
    """The part of a distribution that the host reads."""

    name: str
    version: str


class FakeEntryPoint(EntryPoint):
    """An entry point whose `load` is a function of yours."""

    def __init__(self, name: str, load: Callable[[], object], *, distribution: FakeDistribution) -> None:
        super().__init__(name, f"{name}.plugin", GROUP)
        vars(self).update(_load=load, dist=distribution)  # entry points refuse to be assigned to

    def load(self) -> object:
        """Import the plugin, so to speak."""
        return vars(self)["_load"]()


def plugin_from(
    name: str,
    *,
    api_level: object = API_LEVEL,
    maturity: object = Maturity.ALPHA,
    distribution: str = "",
    version: str = "1.0",
    **hooks: Callable[..., object] | Sequence[object],
) -> FakeEntryPoint:
    """Make a plugin with these hooks: a function, or, for an offer, the records themselves.

    `api_level=None` leaves the attribute out.
    """
    module = ModuleType(f"{name}.plugin")
    if api_level is not None:
        vars(module)["api_level"] = api_level
    vars(module)["maturity"] = maturity
    for hook, work in hooks.items():
        vars(module)[hook] = hookimpl(work if callable(work) else _offer(work))
    made = FakeDistribution(name=distribution or f"modelyard-{name}", version=version)
    return FakeEntryPoint(name, lambda: module, distribution=made)


def _offer(records: Sequence[object]) -> Callable[[], list[object]]:
    def offer() -> list[object]:
        return list(records)

    return offer
