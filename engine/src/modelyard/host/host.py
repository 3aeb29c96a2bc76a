"""The host at work: hands out records, asks hooks, and takes plugins that hang out of service."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from modelyard.api import (
    Authenticator,
    Candidate,
    Check,
    Deleted,
    Deployed,
    DeviceBackend,
    EnvironmentSpec,
    ImageBuilder,
    ImageBuilt,
    ImageRef,
    ModelyardError,
    Planned,
    Platform,
    PluginBroken,
    PluginFailed,
    PluginRecord,
    PluginSettings,
    PluginState,
    Refusal,
    Registry,
    ReplicaFailed,
    Scaled,
    Scaler,
    ServiceSpec,
    Target,
)
from modelyard.host.admitting import Admitted
from modelyard.host.judging import Answer, judge_image, judge_refusals, judge_scores
from modelyard.host.offering import Offered
from modelyard.host.shelf import Shelf
from modelyard.host.working import Hung, Raised, attempt, attempt_async, describe

log = logging.getLogger(__name__)

T = TypeVar("T")
Event = Planned | ImageBuilt | Deployed | Scaled | ReplicaFailed | Deleted | PluginBroken

_OBSERVERS: Mapping[type, str] = {
    Planned: "on_planned",
    ImageBuilt: "on_image_built",
    Deployed: "on_deployed",
    Scaled: "on_scaled",
    ReplicaFailed: "on_replica_failed",
    Deleted: "on_deleted",
    PluginBroken: "on_plugin_broken",
}


class Host:
    """Every plugin that was found, and the records of those that take part.

    Belongs to one event loop. Mappings it hands out are snapshots: they never change under a reader.
    """

    def __init__(
        self,
        settings: PluginSettings,
        admitted: Sequence[Admitted],
        left_out: Sequence[PluginRecord],
        offers: Sequence[Offered],
    ) -> None:
        self._settings = settings
        self._plugins: dict[str, Admitted] = {plugin.name: plugin for plugin in admitted}
        self._left_out = tuple(left_out)
        self._shelf = Shelf(tuple(offers))
        self._observer_failures: Counter[str] = Counter()

    # --- what there is ---------------------------------------------------------------------

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """Describe every plugin found, by name: active, disabled and broken ones."""
        found = [*self._left_out, *(plugin.record for plugin in self._plugins.values())]
        return tuple(sorted(found, key=lambda record: (record.name, record.distribution)))

    @property
    def registries(self) -> Mapping[str, Registry]:
        """Registries of active plugins by name."""
        return self._shelf.of_kind("registries")

    @property
    def image_builders(self) -> Mapping[str, ImageBuilder]:
        """Builders of images of active plugins by name."""
        return self._shelf.of_kind("image_builders")

    @property
    def devices(self) -> Mapping[str, DeviceBackend]:
        """Device backends of active plugins by name."""
        return self._shelf.of_kind("devices")

    @property
    def authenticators(self) -> Mapping[str, Authenticator]:
        """Authenticators of active plugins by name."""
        return self._shelf.of_kind("authenticators")

    @property
    def scalers(self) -> Mapping[str, Scaler]:
        """Scalers of active plugins by name."""
        return self._shelf.of_kind("scalers")

    @property
    def targets(self) -> Mapping[str, Target]:
        """Targets of active plugins by name."""
        return self._shelf.of_kind("targets")

    @property
    def checks(self) -> Mapping[str, Check]:
        """Checks of active plugins by name."""
        return self._shelf.of_kind("checks")

    @property
    def observer_failures(self) -> Mapping[str, int]:
        """How often each plugin failed to hear an event."""
        return MappingProxyType(dict(self._observer_failures))

    def owner(self, kind: str, name: str) -> str:
        """Name the plugin that offered a record; `kind` as in `devices`."""
        return self._shelf.find(kind, name).plugin

    # --- asking ----------------------------------------------------------------------------

    async def call(
        self, kind: str, name: str, method: str, *args: object, timeout_seconds: float | None = None
    ) -> Any:
        """Call a synchronous method of a record in a thread, time-limited.

        A `ModelyardError` passes through, anything else becomes `PluginFailed`; a record that gives no
        answer in time takes its plugin out of service.
        """
        offered = self._shelf.find(kind, name)
        moment = f"{kind}:{name}.{method}"
        seconds = self._settings.hook_timeout_seconds if timeout_seconds is None else timeout_seconds
        function: Callable[[], Any] = partial(_invoke, offered.record, method, args)
        try:
            return await self._guard(offered.plugin, moment, function, seconds=seconds)
        except Raised as raised:
            if isinstance(raised.error, ModelyardError):
                raise raised.error from None
            raise _failed(offered.plugin, moment, raised) from raised.error

    async def resolve_image(self, spec: EnvironmentSpec, platform: Platform) -> ImageRef | Refusal | None:
        """Ask plugin after plugin, by name, until one names an image or refuses; None = all passed."""
        hook, arguments = "resolve_image", {"spec": spec, "platform": platform}
        for plugin in self._listeners(hook):
            # pluggy gives the answer itself, not a list, where the first result decides
            answer = judge_image(plugin.name, await self._ask(plugin, hook, arguments))
            if answer is not None:
                return answer
        return None

    async def veto_placement(self, spec: ServiceSpec, candidate: Candidate) -> tuple[Refusal, ...]:
        """Ask every plugin whether it refuses the place; all refusals, by plugin name."""
        return judge_refusals(await self._decide("veto_placement", {"spec": spec, "candidate": candidate}))

    async def score_placement(self, spec: ServiceSpec, candidate: Candidate) -> float:
        """Give the mean of all opinions of the place, 0.5 when nobody has one."""
        return judge_scores(await self._decide("score_placement", {"spec": spec, "candidate": candidate}))

    # --- telling ---------------------------------------------------------------------------

    async def notify(self, event: Event) -> None:
        """Tell every plugin that listens; failures are logged and counted, and raise nothing."""
        hook = _OBSERVERS[type(event)]
        listeners = self._listeners(hook)
        await asyncio.gather(*(self._tell(plugin, hook, event) for plugin in listeners))

    def announce_broken(self) -> None:
        """Tell listeners of the plugins that broke while loading; `load` does so once."""
        for record in self.records:
            if record.state is PluginState.BROKEN:
                for plugin in self._listeners("on_plugin_broken"):
                    self._announce(plugin, PluginBroken(record))

    def close(self) -> None:
        """Let every plugin go; nothing is asked or handed out from here on."""
        self._plugins = {}
        self._shelf = Shelf()

    # --- behind the counter ----------------------------------------------------------------

    def _listeners(self, hook: str) -> list[Admitted]:
        return [plugin for _, plugin in sorted(self._plugins.items()) if plugin.implements(hook)]

    async def _decide(self, hook: str, arguments: Mapping[str, object]) -> list[Answer]:
        plugins = self._listeners(hook)
        answers = await asyncio.gather(
            *(self._ask(plugin, hook, arguments) for plugin in plugins), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [
            (plugin.name, one)
            for plugin, given in zip(plugins, answers, strict=True)
            if isinstance(given, list)
            for one in given
        ]

    async def _ask(self, plugin: Admitted, hook: str, arguments: Mapping[str, object]) -> list[Any]:
        try:
            return await self._guard(
                plugin.name, hook, plugin.bind(hook, arguments), seconds=self._settings.hook_timeout_seconds
            )
        except Raised as raised:
            raise _failed(plugin.name, hook, raised) from raised.error

    async def _guard(self, plugin: str, moment: str, function: Callable[[], T], *, seconds: float) -> T:
        try:
            return await attempt_async(function, seconds=seconds)
        except Hung as hung:
            await self._break(plugin, f"{moment}: {hung}")
            raise PluginFailed(plugin, moment, str(hung)) from None

    async def _tell(self, plugin: Admitted, hook: str, event: Event) -> None:
        seconds = self._settings.hook_timeout_seconds
        try:
            await attempt_async(plugin.bind(hook, {"event": event}), seconds=seconds)
        except Raised as raised:
            self._count_failure(plugin.name, hook, raised)
        except Hung as hung:
            self._count_failure(plugin.name, hook, hung)
            if not isinstance(event, PluginBroken):  # lest one broken plugin take others down
                await self._break(plugin.name, f"{hook}: {hung}")

    def _announce(self, plugin: Admitted, event: PluginBroken) -> None:
        try:
            attempt(
                plugin.bind("on_plugin_broken", {"event": event}), seconds=self._settings.hook_timeout_seconds
            )
        except (Raised, Hung) as failure:
            self._count_failure(plugin.name, "on_plugin_broken", failure)

    def _count_failure(self, plugin: str, hook: str, failure: Raised | Hung) -> None:
        self._observer_failures[plugin] += 1
        log.warning(
            "plugin %s failed in %s: %s", plugin, hook, failure, exc_info=getattr(failure, "error", None)
        )

    async def _break(self, name: str, reason: str) -> None:
        plugin = self._plugins.pop(name, None)
        if plugin is None:  # two calls hung at once, or the host was closed meanwhile
            return
        record = attrs.evolve(plugin.record, state=PluginState.BROKEN, reason=reason)
        self._left_out = (*self._left_out, record)
        self._shelf = self._shelf.without(name)
        log.error("plugin %s is broken: %s", name, reason)
        await self.notify(PluginBroken(record))


def _invoke(record: object, method: str, args: tuple[object, ...]) -> Any:
    answer = getattr(record, method)(*args)
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError(f"{method} is async; a plain method is asked for")
    return answer


def _failed(plugin: str, moment: str, raised: Raised) -> PluginFailed:
    log.warning("plugin %s failed in %s: %s", plugin, moment, raised, exc_info=raised.error)
    return PluginFailed(plugin, moment, describe(raised.error))
