"""Stop and remove the container of one replica; whoever is killed in the middle is gone on with by the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from modelyard.containers import (
    Absent,
    Container,
    Daemon,
    State,
    inspect,
    list_labelled,
    remove,
    remove_network,
    rename,
    resume,
    send_signal,
    tail,
)
from modelyard.processes import FileLock, disk_errors, write_atomic
from modelyard.targets.docker.belonging import Belonging
from modelyard.targets.docker.labels import ENGINE, REPLICA, deleting_name, is_deleting, network_name
from modelyard.targets.docker.watching import status_of
from modelyard.targets.logs import LOG_FILE, prune

_POLL_SECONDS = 0.1
_KEPT_LINES = 20_000
"""Of a removed replica's log."""


class Remover:
    """Removes containers; `logs` keeps what they said, `exclusive` is the engine's lock."""

    def __init__(
        self, daemon: Daemon, belonging: Belonging, logs: Path, exclusive: Callable[[], FileLock]
    ) -> None:
        self._daemon = daemon
        self._belonging = belonging
        self._logs = logs
        self._exclusive = exclusive

    async def remove(self, container: Container, replica: str) -> None:
        """Let it finish, keep its log, remove it with its volumes."""
        try:
            begun = is_deleting(container.name)
            if not begun:
                name = deleting_name(self._belonging.name(), replica)
                await rename(self._daemon, container.id, name)
            await self._stop(container, replica, begun=begun)
            await self._keep_log(container, replica)
        except Absent:
            return  # somebody else was faster
        await remove(self._daemon, container.id)

    async def tidy(self) -> None:
        """Remove the network with the last replica."""
        async with self._exclusive():
            name = self._belonging.name()
            if await list_labelled(self._daemon, {ENGINE: name}):
                return
            await remove_network(self._daemon, network_name(name))
            self._belonging.release()

    async def _stop(self, container: Container, replica: str, *, begun: bool) -> None:
        """Send SIGTERM and wait.

        A second one would cut requests off: where one may have been sent before, idleness is waited for.
        """
        facts = await inspect(self._daemon, container.id)
        deadline = time.monotonic() + facts.stop_seconds
        if container.state is State.PAUSED:
            await resume(self._daemon, container.id)
        if begun:
            await _wait_while(lambda: self._is_busy(container, replica), deadline)
        if await send_signal(self._daemon, container.id, "SIGTERM"):
            await _wait_while(lambda: self._runs(container), deadline)

    async def _is_busy(self, container: Container, replica: str) -> bool:
        status = await status_of(container, replica)
        return status is not None and bool(status.running or status.queued)

    async def _runs(self, container: Container) -> bool:
        return (await inspect(self._daemon, container.id)).pid is not None

    async def _keep_log(self, container: Container, replica: str) -> None:
        lines = await tail(self._daemon, container.id, _KEPT_LINES)
        living = {
            one.labels.get(REPLICA, "")
            for one in await list_labelled(self._daemon, {ENGINE: self._belonging.name()})
        }
        if lines:
            await asyncio.to_thread(_write_log, self._logs, replica, lines, frozenset(living))


async def _wait_while(condition: Callable[[], Awaitable[bool]], deadline: float) -> None:
    while time.monotonic() < deadline and await condition():  # noqa: ASYNC110  the daemon tells nobody
        await asyncio.sleep(_POLL_SECONDS)


def _write_log(logs: Path, replica: str, lines: list[str], living: frozenset[str]) -> None:
    folder = logs / replica
    with disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(folder / LOG_FILE, "".join(f"{line}\n" for line in lines).encode())
    prune(logs, replica, living)
