"""Which pool serves which model. Lives on the event loop alone."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from modelyard_runtime.causes import StartFailure
from modelyard_runtime.contract import ModelEntry
from modelyard_runtime.scoring.evicting import Key
from modelyard_runtime.scoring.pool import Pool
from modelyard_runtime.scoring.refusals import Unknown
from modelyard_runtime.worker.description import Description

NEWEST = ""
"""In place of a version."""
MAIN: Key = ("", NEWEST)
"""Who asks for no model by name gets this one."""


class Standing(NamedTuple):
    """How one version of a model stands, in the Open Inference Protocol's words."""

    name: str
    version: str
    state: str
    reason: str


class Catalog(abc.ABC):
    """The models of a replica. `changed` is called when the table or the readiness is another."""

    def __init__(self, names: Mapping[str, tuple[str, ...]], changed: Callable[[], None]) -> None:
        self.names = names
        """Every model with its versions, the newest last; the first is the main one."""
        self.main = next(iter(names))
        self.table: dict[Key, Pool] = {}
        """Pools that take requests, by every key they answer to: a request looks here and no further."""
        self.ready = False
        """Whether requests are taken; a model among many may still have to be loaded for one."""
        self.failure: StartFailure | None = None
        """Why the replica cannot serve."""
        self.description: Description | None = None
        """What the script said of itself when it was last loaded."""
        self._changed = changed

    def versions(self, name: str, version: str) -> tuple[str, ...]:
        """Return the versions of a model. Raises `Unknown` for one there is not."""
        versions = self.names.get(name or self.main)
        if versions is None:
            raise Unknown(f"no model is called '{name}'; there are {_some(self.names)}")
        if version and version not in versions:
            raise Unknown(f"model '{name}' has no version '{version}'; there are {_some(versions)}")
        return versions

    def exact(self, name: str, version: str) -> Key:
        """Return the name and version that are meant. Raises `Unknown`."""
        versions = self.versions(name, version)
        return name or self.main, version or versions[-1]

    @property
    @abc.abstractmethod
    def running(self) -> int:
        """How many requests workers have."""

    @property
    @abc.abstractmethod
    def queued(self) -> int:
        """How many wait for a slot."""

    @abc.abstractmethod
    def start(self) -> None:
        """Begin to load; returns at once, `ready` or `failure` follow."""

    @abc.abstractmethod
    async def find(self, name: str, version: str, deadline: float) -> Pool:
        """Return the pool for a request whose key is not in the table. Raises a `Refusal`."""

    @abc.abstractmethod
    def standings(self) -> Iterator[Standing]:
        """Say how every version of every model stands."""

    @abc.abstractmethod
    async def close(self) -> None:
        """End all workers."""

    def _keys(self, name: str, version: str) -> Iterator[Key]:
        """List what a version of a model is asked for as."""
        newest = version == self.names[name][-1]
        for called in (name, "") if name == self.main else (name,):
            yield called, version
            if newest:
                yield called, NEWEST


class Loading(Catalog):
    """A catalog whose models are loaded and unloaded by name."""

    @abc.abstractmethod
    async def load(self, name: str, version: str, deadline: float) -> None:
        """Load a model, now even where it has just failed; one that is loaded stays. Raises a `Refusal`."""

    @abc.abstractmethod
    async def unload(self, name: str, version: str) -> None:
        """Unload a model, once its requests are answered; without a version, all of them. Raises `Unknown`."""


def versions_by_name(
    models: Iterable[ModelEntry], known: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, tuple[str, ...]]:
    """List models by name, each with its versions, the highest number last."""
    names = dict(known or {})
    for model in models:
        names[model.name] = (*names.get(model.name, ()), model.version)
    return {name: tuple(sorted(versions, key=_age)) for name, versions in names.items()}


def _age(version: str) -> int:
    return int(version) if version.isdecimal() else -1


_SHOWN = 20


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more
