"""The docker target: replicas as containers of this machine's daemon.

Everything it knows lies in the containers' labels, so an engine that starts again adopts what runs.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import attrs

from modelyard.api import (
    READABLE_LAYERS,
    Candidate,
    ImageRef,
    Maturity,
    NotFound,
    OnLine,
    Refusal,
    Registry,
    Replica,
    ReplicaId,
    ServiceSpec,
    Workload,
)
from modelyard.containers import Absent, Container, Daemon, list_labelled, send_signal, tail
from modelyard.containers import follow as follow_container
from modelyard.processes import FileLock, Home, disk_errors
from modelyard.targets.capacity import Capacity, free_candidate
from modelyard.targets.docker.belonging import Belonging
from modelyard.targets.docker.bringing import Porter, readable_layers
from modelyard.targets.docker.brought import Brought
from modelyard.targets.docker.labels import ENGINE, REPLICA, granted_of
from modelyard.targets.docker.refusing import refusals, unusable
from modelyard.targets.docker.removing import Remover
from modelyard.targets.docker.starting import Starter
from modelyard.targets.docker.watching import Watcher
from modelyard.targets.logs import tail as tail_of_files
from modelyard.targets.replicas import check_id

_LOCK_SECONDS = 300.0


class DockerTarget:
    """Runs replicas as containers on a network of the engine's own; implements `api.ImageTarget`."""

    def __init__(self, home: Home, daemon: Daemon) -> None:
        self._home = home
        self._daemon = daemon
        self._belonging = Belonging(home.state / "docker")
        self._watcher = Watcher(daemon)
        self._porter = Porter(daemon, Brought(self._belonging.images), home.run / "docker-images")

    @property
    def name(self) -> str:
        """The `target:` value of a spec."""
        return "docker"

    @property
    def maturity(self) -> Maturity:
        """How far it may be relied on."""
        return Maturity.ALPHA

    @property
    def artifact(self) -> Literal["image"]:
        """An image."""
        return "image"

    def refuse(self, spec: ServiceSpec) -> tuple[Refusal, ...]:
        """Refuse what containers of this machine cannot give."""
        return refusals(spec, plugin="builtin", system=platform.system(), is_local=self._daemon.is_local)

    async def candidates(self) -> tuple[Candidate, ...]:
        """Give the daemon's machine, less what replicas were asked for. Raises when there is no usable daemon."""
        facts = await self._daemon.facts()
        if (error := unusable(facts, self._daemon.address)) is not None:
            raise error
        capacity = Capacity(facts.cores * 1000, facts.memory_bytes)
        asked = [granted_of(one.labels) for one in await self._containers()]
        place = free_candidate(capacity, asked, node=platform.node(), target=self.name)
        return (attrs.evolve(place, labels={**place.labels, READABLE_LAYERS: readable_layers(facts)}),)

    async def bring(self, image: ImageRef, registry: Registry, *, on_line: OnLine) -> None:
        """Make the daemon have the image."""
        await self._porter.bring(image, registry, on_line=on_line)

    async def apply(self, workload: Workload) -> None:
        """Make and start every planned replica that does not run; what runs is left alone."""
        starter = Starter(self._daemon, self._belonging, self._porter, self._exclusive)
        await starter.start(workload)

    async def observe(self) -> tuple[Replica, ...]:
        """List this engine's containers and ask each; an engine that never made one asks nobody."""
        name = self._belonging.name()
        if not name or not self._belonging.in_use:
            return ()
        return await self._watcher.look(name)

    async def drain(self, replica: ReplicaId) -> None:
        """Tell the parent to drain; one that is not up yet had no traffic, and as first process it lives on."""
        check_id(replica)
        for container in await self._containers(replica):
            await send_signal(self._daemon, container.id, "SIGUSR1")

    async def delete(self, replica: ReplicaId) -> None:
        """Stop this very replica, drained, and remove its container; its log stays."""
        check_id(replica)
        remover = Remover(self._daemon, self._belonging, self._logs, self._exclusive)
        for container in await self._containers(replica):
            await remover.remove(container, replica)
        if self._belonging.in_use:
            await remover.tidy()
            await self._porter.forget_unused()

    async def logs(self, replica: ReplicaId, *, lines: int, follow: bool) -> AsyncIterator[str]:
        """Yield the log; with `follow`, over restarts, until the replica is removed."""
        check_id(replica)
        try:
            for container in (await self._containers(replica))[:1]:
                async for line in self._lines(container, lines, follow=follow):
                    yield line
                return
        except Absent:
            pass  # it was removed meanwhile: what it said is kept
        kept = self._logs / replica
        if not kept.exists():
            raise NotFound(
                f"no replica {replica} and no log of it", remedy="see the replicas with `engine show`"
            )
        for line in await asyncio.to_thread(tail_of_files, kept, lines):
            yield line

    @property
    def _logs(self) -> Path:
        return self._home.logs / "replicas"

    async def _lines(self, container: Container, lines: int, *, follow: bool) -> AsyncIterator[str]:
        if not follow:
            for line in await tail(self._daemon, container.id, lines):
                yield line
            return
        async for line in follow_container(self._daemon, container.id, lines=lines):
            yield line

    async def _containers(self, replica: ReplicaId = "") -> tuple[Container, ...]:
        name = self._belonging.name()
        if not name or not self._belonging.in_use:
            return ()
        return await list_labelled(
            self._daemon, {ENGINE: name, REPLICA: replica} if replica else {ENGINE: name}
        )

    def _exclusive(self) -> FileLock:
        """Guard the network, which Docker would make twice, and the say of whether there are replicas."""
        with disk_errors(self._home.run):
            self._home.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileLock(self._home.run / "docker.lock", timeout_seconds=_LOCK_SECONDS)
