"""Make and start the containers of planned replicas, each step repeatable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from modelyard.api import Conflict, ReplicaPlan, UserError, Workload
from modelyard.containers import (
    Absent,
    Container,
    Daemon,
    Image,
    NameTaken,
    State,
    create,
    ensure_network,
    list_labelled,
    remove,
    resume,
    start,
)
from modelyard.processes import FileLock
from modelyard.targets.docker.belonging import Belonging
from modelyard.targets.docker.bringing import Porter
from modelyard.targets.docker.labels import ENGINE, REPLICA, container_name, is_deleting, network_name
from modelyard.targets.docker.orders import Site, order_of
from modelyard.targets.docker.refusing import CDI_API, cdi_unsupported

_STARTED_BY_US = frozenset({State.CREATED, State.EXITED})


class Starter:
    """Brings about what a workload plans; `exclusive` is the engine's lock."""

    def __init__(
        self, daemon: Daemon, belonging: Belonging, porter: Porter, exclusive: Callable[[], FileLock]
    ) -> None:
        self._daemon = daemon
        self._belonging = belonging
        self._porter = porter
        self._exclusive = exclusive

    async def start(self, workload: Workload) -> None:
        """Make what is missing, start what does not run, leave the rest alone."""
        image = await self._image(workload)
        await self._check_devices(workload)
        async with self._exclusive():
            site = Site(self._belonging.claim(), image.id, _groups(workload))
            labels = {ENGINE: site.engine}
            await ensure_network(self._daemon, network_name(site.engine), labels)
            there = {one.labels.get(REPLICA, ""): one for one in await list_labelled(self._daemon, labels)}
            made = [(plan, await self._made(workload, plan, site, there)) for plan in workload.replicas]
        await asyncio.gather(*(self._begin(workload, plan, site, one) for plan, one in made))

    async def _image(self, workload: Workload) -> Image:
        if workload.image is None:
            raise UserError("a container needs an image", place=workload.spec.name, remedy="deploy again")
        return await self._porter.find(workload.image)

    async def _check_devices(self, workload: Workload) -> None:
        if any(plan.grant.cdi_names for plan in workload.replicas):
            facts = await self._daemon.facts()
            if facts.api_version < CDI_API:
                raise cdi_unsupported(facts, self._daemon.address)

    async def _made(
        self, workload: Workload, plan: ReplicaPlan, site: Site, there: dict[str, Container]
    ) -> Container | str:
        """Give the container that is there, or the id of a new one."""
        found = there.get(plan.id)
        if found is not None and found.state is not State.DEAD:
            return found
        if found is not None:
            await remove(self._daemon, found.id)
        return await self._create(workload, plan, site)

    async def _create(self, workload: Workload, plan: ReplicaPlan, site: Site) -> Container | str:
        try:
            return await create(self._daemon, order_of(workload, plan, site))
        except NameTaken as error:
            # An engine of the same home that died, or went on without our lock, made it first.
            own = {ENGINE: site.engine, REPLICA: plan.id}
            for container in await list_labelled(self._daemon, own):
                return container
            raise Conflict(
                f"another container has the name {container_name(site.engine, plan.id)}",
                place=self._daemon.address,
                remedy="remove or rename it, then deploy again",
            ) from error

    async def _begin(
        self, workload: Workload, plan: ReplicaPlan, site: Site, container: Container | str
    ) -> None:
        if isinstance(container, Container):
            if is_deleting(container.name):
                return
            if container.state is State.PAUSED:
                await resume(self._daemon, container.id)
                return
            if container.state not in _STARTED_BY_US:
                return
            container = container.id
        try:
            await start(self._daemon, container)
        except Absent:
            # its network was removed while it did not run: what it is made of names one that is no more
            await remove(self._daemon, container)
            async with self._exclusive():
                await ensure_network(self._daemon, network_name(site.engine), {ENGINE: site.engine})
                again = await self._create(workload, plan, site)
            await start(self._daemon, again.id if isinstance(again, Container) else again)


def _groups(workload: Workload) -> dict[str, int]:
    """Find the groups that may use the granted device nodes."""
    nodes = {node for plan in workload.replicas for node in plan.grant.device_nodes}
    return {node: group for node in nodes if (group := _group_of(node))}


def _group_of(node: str) -> int:
    """Give the group that may use a device node; 0 = root's, or there is no such node."""
    try:
        return Path(node).stat().st_gid
    except OSError:
        return 0
