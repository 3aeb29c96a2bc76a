"""Load every plugin, each under its own guard, and build the host from those that passed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint

import attrs

from modelyard.api import PluginFailed, PluginRecord, PluginSettings, PluginState, UserError
from modelyard.host.admitting import Admitted, Unfit, admit
from modelyard.host.discovering import Found, discover
from modelyard.host.host import Host
from modelyard.host.offering import Offered, ask, refuse_duplicates

log = logging.getLogger(__name__)


def load(settings: PluginSettings, *, entry_points: Iterable[EntryPoint] | None = None) -> Host:
    """Load installed plugins (or those of `entry_points`); a broken one is a record, not an error.

    Raises `UserError` when a required plugin is missing or disabled, and `PluginFailed` when one is
    broken, or when any is broken and the settings are strict.
    """
    loader = _Loader(settings)
    for found in discover(entry_points):
        loader.take(found)
    records = [*loader.left_out, *(plugin.record for plugin in loader.admitted)]
    _warn_unknown(settings, records)
    _insist(settings, records)
    host = Host(settings, loader.admitted, loader.left_out, loader.offers)
    host.announce_broken()
    return host


class _Loader:
    """What has been loaded so far; names are first come, first served, in order of names."""

    def __init__(self, settings: PluginSettings) -> None:
        self._settings = settings
        self.admitted: list[Admitted] = []
        self.left_out: list[PluginRecord] = []
        self.offers: list[Offered] = []

    def take(self, found: Found) -> None:
        if found.name in self._settings.disabled:
            self._leave_out(found, PluginState.DISABLED, "switched off by plugins.disabled")
            return
        try:
            plugin = self._admit(found)
        except Unfit as unfit:
            self._leave_out(found, PluginState.BROKEN, str(unfit))
            return
        self._ask(plugin)

    def _admit(self, found: Found) -> Admitted:
        for other in self.admitted:
            if other.name == found.name:
                raise Unfit(
                    f"distributions {other.record.distribution!r} and {found.distribution!r} "
                    f"both have a plugin called {found.name!r}"
                )
        return admit(
            found,
            seconds=self._settings.hook_timeout_seconds,
            required=found.name in self._settings.required,
        )

    def _ask(self, plugin: Admitted) -> None:
        try:
            offers = ask(plugin, seconds=self._settings.hook_timeout_seconds)
            refuse_duplicates(offers, {(one.kind, one.name): one.plugin for one in self.offers})
        except Unfit as unfit:
            log.error("plugin %s is broken: %s", plugin.name, unfit)  # noqa: TRY400  the reason is the news
            self.left_out.append(attrs.evolve(plugin.record, state=PluginState.BROKEN, reason=str(unfit)))
            return
        names = tuple(f"{one.kind}:{one.name}" for one in offers)
        self.admitted.append(attrs.evolve(plugin, record=attrs.evolve(plugin.record, offers=names)))
        self.offers.extend(offers)

    def _leave_out(self, found: Found, state: PluginState, reason: str) -> None:
        if state is PluginState.BROKEN:
            log.error("plugin %s is broken: %s", found.name, reason)
        self.left_out.append(
            PluginRecord(
                name=found.name,
                distribution=found.distribution,
                version=found.version,
                api_level=None,
                state=state,
                reason=reason,
                required=found.name in self._settings.required,
            )
        )


def _warn_unknown(settings: PluginSettings, records: Sequence[PluginRecord]) -> None:
    for name in sorted(settings.disabled - {record.name for record in records}):
        log.warning("plugins.disabled names %r, which is not installed", name)


def _insist(settings: PluginSettings, records: Sequence[PluginRecord]) -> None:
    installed = {record.name for record in records}
    there = ", ".join(sorted(installed)) or "none"
    if missing := sorted(settings.required - installed):
        raise UserError(
            f"required plugin{'s' * (len(missing) > 1)} not installed: {', '.join(missing)}",
            place="plugins.required",
            remedy=f"install it or take it out of the list; installed are {there}",
        )
    if clash := sorted(settings.required & settings.disabled):
        raise UserError(
            f"plugins both required and disabled: {', '.join(clash)}",
            place="plugins.required and plugins.disabled",
            remedy="take each name out of one of the two lists",
        )
    for record in sorted(records, key=lambda one: one.name):
        if record.state is PluginState.BROKEN and (record.required or settings.strict):
            raise PluginFailed(record.name, "load", record.reason)
