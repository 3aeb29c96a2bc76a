"""Admit one plugin: import it, read what it says of itself, and check that its hooks fit.

A plugin that may not take part raises `Unfit` with the reason; it harms nobody else.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs
import pluggy

from modelyard import hookspecs
from modelyard.api import SERVED_API_LEVELS, Maturity, PluginRecord, PluginState
from modelyard.host.discovering import Found
from modelyard.host.working import Hung, Raised, attempt

IMPORT_FACTOR = 4
"""An import may take this many hook time limits: a cold disk is slower than any hook may be."""


class Unfit(Exception):
    """The plugin may not take part; the text says why."""


@attrs.frozen(eq=False)
class Admitted:
    """A plugin that takes part, with a pluggy manager of its own: one guard, one plugin."""

    record: PluginRecord
    manager: pluggy.PluginManager

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.record.name

    def implements(self, hook: str) -> bool:
        """Say whether the plugin has this hook."""
        return hook in self.record.hooks

    def implementations(self, hook: str) -> int:
        """Count the plugin's implementations of a hook; more than one takes `specname`."""
        return len(getattr(self.manager.hook, hook).get_hookimpls())

    def bind(self, hook: str, arguments: Mapping[str, object]) -> Callable[[], list[Any]]:
        """Prepare a call; it gives every answer but None."""
        return partial(getattr(self.manager.hook, hook), **arguments)


@attrs.frozen
class _Traits:
    api_level: int
    maturity: Maturity


def admit(found: Found, *, seconds: float, required: bool) -> Admitted:
    """Import the plugin and check it; `seconds` is the time limit of one hook."""
    plugin = _guarded("import", found.entry_point.load, seconds=IMPORT_FACTOR * seconds)
    traits = _guarded("reading its attributes", partial(_read_traits, plugin), seconds=seconds)
    manager = _guarded("registering its hooks", partial(_register, found.name, plugin), seconds=seconds)
    hooks = tuple(
        sorted(caller.name for caller in manager.get_hookcallers(plugin) or () if caller.has_spec())
    )
    if not hooks:
        raise Unfit("it implements no hook: mark its functions with @modelyard.hookimpl")
    record = PluginRecord(
        name=found.name,
        distribution=found.distribution,
        version=found.version,
        api_level=traits.api_level,
        state=PluginState.ACTIVE,
        hooks=hooks,
        maturity=traits.maturity,
        required=required,
    )
    return Admitted(record=record, manager=manager)


def _guarded(moment: str, function: Callable[[], Any], *, seconds: float) -> Any:
    try:
        return attempt(function, seconds=seconds)
    except Hung as hung:
        raise Unfit(f"{moment}: {hung}") from None
    except Raised as raised:
        if isinstance(raised.error, Unfit):
            raise raised.error from None
        raise Unfit(f"{moment} failed: {raised}") from raised.error


def _read_traits(plugin: object) -> _Traits:
    served = ", ".join(map(str, SERVED_API_LEVELS))
    level = getattr(plugin, "api_level", None)
    if level is None:
        raise Unfit(f"it names no api_level (an integer); this engine serves {served}")
    if type(level) is not int:
        raise Unfit(f"its api_level is {level!r}, which is not an integer; this engine serves {served}")
    if level not in SERVED_API_LEVELS:
        raise Unfit(f"it speaks api_level {level}; this engine serves {served}")
    maturity = getattr(plugin, "maturity", Maturity.ALPHA)
    if not isinstance(maturity, Maturity):
        raise Unfit(f"its maturity is {maturity!r}, which is not a modelyard.api.Maturity")
    return _Traits(api_level=level, maturity=maturity)


def _register(name: str, plugin: object) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    known = tuple(sorted(vars(manager.hook)))
    try:
        manager.register(plugin, name=name)
    except pluggy.PluginValidationError as error:
        raise Unfit(_misfit(error)) from None
    for caller in manager.get_hookcallers(plugin) or ():
        _check_caller(caller, known)
    return manager


def _check_caller(caller: pluggy.HookCaller, known: tuple[str, ...]) -> None:
    implementations = caller.get_hookimpls()
    if not caller.has_spec() and not all(one.optionalhook for one in implementations):
        near = difflib.get_close_matches(caller.name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
        raise Unfit(f"it implements the unknown hook {caller.name!r}{hint}")
    if any(inspect.iscoroutinefunction(one.function) for one in implementations):
        raise Unfit(f"its hook {caller.name!r} is async; hooks are plain functions, records may be async")


def _misfit(error: pluggy.PluginValidationError) -> str:
    # pluggy's lines are: plugin and hook, the definition, what is wrong with it
    return "its hooks do not fit: " + "; ".join(
        line.strip() for line in str(error).splitlines()[1:] if line.strip()
    )
