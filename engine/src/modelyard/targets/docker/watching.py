"""Look at every container in one call and ask each replica; remember what does not change between two looks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import attrs
from modelyard_runtime.contract import REPLICA_PATH, ContractError, ReplicaStatus, read_status

from modelyard.api import ModelyardError, Replica
from modelyard.containers import Absent, Container, Daemon, Inspected, State, inspect, list_labelled, tail
from modelyard.targets.asking import NoAnswer, ask
from modelyard.targets.docker.judging import Facts, replica_of
from modelyard.targets.docker.labels import ENGINE, Identity, identity_of
from modelyard.targets.docker.orders import STATUS_PORT

SILENT_SECONDS = 5.0
"""For so long a replica is what it last said it was: one late answer takes no traffic away."""
_AGAIN_SECONDS = 2.0
"""How often a container that does not answer is looked into anew."""
_LAST_LINES = 3


@attrs.define
class _Known:
    """What was learned of one container."""

    key: tuple[object, ...] = ()
    inspected: Inspected | None = None
    inspected_at: float = 0.0
    status: ReplicaStatus | None = None
    status_at: float = 0.0
    in_flight: int = 0
    last_words: str = ""


class Watcher:
    """Sees the replicas of one engine; what it remembers can be lost at any time."""

    def __init__(self, daemon: Daemon, clock: Callable[[], float] = time.time) -> None:
        self._daemon = daemon
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def look(self, engine: str) -> tuple[Replica, ...]:
        """Tell of every replica of this engine."""
        containers = await list_labelled(self._daemon, {ENGINE: engine})
        ours = [(one, identity) for one in containers if (identity := identity_of(one.labels))]
        self._known = {one.id: self._known.get(one.id, _Known()) for one, _ in ours}
        seen = await asyncio.gather(*(self._see(one, identity) for one, identity in ours))
        return tuple(sorted(seen, key=lambda replica: replica.id))

    async def _see(self, container: Container, identity: Identity) -> Replica:
        known = self._known[container.id]
        answer = await status_of(container, identity.replica)
        now = self._clock()
        if answer is not None:
            known.status, known.status_at = answer, now
        elif now - known.status_at > SILENT_SECONDS or container.state is not State.RUNNING:
            known.status = None
        await self._look_into(container, known, now)
        replica = replica_of(
            Facts(
                identity=identity,
                container=container,
                inspected=known.inspected,
                status=known.status,
                answers=answer is not None,
                now=now,
                in_flight_before=known.in_flight,
                last_words=known.last_words,
            )
        )
        known.in_flight = replica.in_flight
        return replica

    async def _look_into(self, container: Container, known: _Known, now: float) -> None:
        """Inspect when something changed; what does not answer now and then, for it changes unseen."""
        started_at = known.status.started_at if known.status else 0.0
        key = (container.state, container.name, container.address, started_at)
        unsure = known.status is None and now - known.inspected_at >= _AGAIN_SECONDS
        if key == known.key and not unsure:
            return
        known.key, known.inspected_at = key, now
        try:
            known.inspected = await inspect(self._daemon, container.id)
            if container.state in (State.RESTARTING, State.EXITED, State.DEAD):
                known.last_words = await self._last_words(container.id)
        except Absent:
            known.inspected = None

    async def _last_words(self, container: str) -> str:
        with contextlib.suppress(ModelyardError):  # a log that cannot be read hides no end
            lines = await tail(self._daemon, container, _LAST_LINES)
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""


async def status_of(container: Container, replica: str) -> ReplicaStatus | None:
    """Ask a replica's parent; None = it does not run, or gave no sensible answer in time."""
    if container.state is not State.RUNNING or not container.address:
        return None
    try:
        status = read_status(await ask(f"{container.address}:{STATUS_PORT}", REPLICA_PATH))
    except (NoAnswer, ContractError):
        return None
    # an address may belong to another container by now
    return status if status.replica == replica else None
