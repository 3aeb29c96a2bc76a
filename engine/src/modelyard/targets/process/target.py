"""The process target: replicas as processes of this machine, each under a parent of its own.

Everything it knows lies in the replicas' folders, so an engine that starts again adopts what runs.
"""

from __future__ import annotations

import asyncio
import os
import platform
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Literal

import attrs

from modelyard.api import (
    Candidate,
    Maturity,
    NotFound,
    Refusal,
    Replica,
    ReplicaId,
    ReplicaPlan,
    ServiceSpec,
    UserError,
    Workload,
)
from modelyard.processes import (
    FileLock,
    Home,
    disk_errors,
    kill_session,
    signal_process,
    spawn_detached,
    stop_process,
)
from modelyard.targets.asking import NoAnswer
from modelyard.targets.capacity import Capacity, free_candidate, machine_capacity
from modelyard.targets.contracts import start_contract
from modelyard.targets.logs import PARENT_LOG, follow_log, last_line, prune, tail
from modelyard.targets.process.folders import ReplicaFolder, replica_folder, replica_folders
from modelyard.targets.process.observing import gather, replica_of
from modelyard.targets.process.refusing import refusals
from modelyard.targets.process.status import in_flight
from modelyard.targets.replicas import granted

_STOP_SECONDS = 10.0
"""What a parent may take beyond its drain to end its server."""
_LOCK_SECONDS = 30.0
_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class ProcessTarget:
    """Runs replicas as processes under the engine's own user; implements `api.Target`."""

    def __init__(
        self, home: Home, *, capacity: Capacity | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._home = home
        self._capacity = capacity or machine_capacity()
        self._environment = {name: environ[name] for name in _PASSED_ON if name in environ}
        self._last_in_flight: dict[ReplicaId, int] = {}

    @property
    def name(self) -> str:
        """The `target:` value of a spec."""
        return "process"

    @property
    def maturity(self) -> Maturity:
        """How far it may be relied on."""
        return Maturity.ALPHA

    @property
    def artifact(self) -> Literal["environment"]:
        """A folder with `bin/python`."""
        return "environment"

    def refuse(self, spec: ServiceSpec) -> tuple[Refusal, ...]:
        """Refuse what needs an image, and what replicas do not do."""
        return refusals(spec, plugin="builtin")

    async def candidates(self) -> tuple[Candidate, ...]:
        """Give this machine, less what its replicas were asked for."""
        asked = [folder.granted() for folder in replica_folders(self._home.replicas)]
        return (free_candidate(self._capacity, asked, node=platform.node(), target=self.name),)

    async def apply(self, workload: Workload) -> None:
        """Start every planned replica that does not run; what runs is left alone."""
        python = Path(workload.environment) / "bin" / "python"
        for environment in filter(None, (workload.environment, workload.worker_environment)):
            if not (Path(environment) / "bin" / "python").exists():
                raise UserError(
                    "the environment has no bin/python",
                    place=environment,
                    remedy="deploy again: a damaged environment is built anew",
                )
        async with self._exclusive():
            for plan in workload.replicas:
                self._start(workload, plan, python)

    async def observe(self) -> tuple[Replica, ...]:
        """Read every replica's folder, and ask those that listen how busy they are."""
        replicas = [self._see(folder) for folder in replica_folders(self._home.replicas)]
        seen = tuple(await asyncio.gather(*(self._with_in_flight(replica) for replica in replicas)))
        self._last_in_flight = {replica.id: replica.in_flight for replica in seen}
        return seen

    async def drain(self, replica: ReplicaId) -> None:
        """Tell the parent to drain; one that has not reported yet had no traffic and needs no telling."""
        folder = replica_folder(self._home.replicas, replica)
        parent = folder.recorded_parent()
        state = folder.state()
        # Before its first report the parent has no handler, and SIGUSR1 would end it.
        if parent is not None and state is not None and state.parent_pid == parent.pid:
            signal_process(parent, signal.SIGUSR1)

    async def delete(self, replica: ReplicaId) -> None:
        """Stop this very replica, drained, and remove its folder; its log stays."""
        folder = replica_folder(self._home.replicas, replica)
        if not folder.path.exists():
            return
        folder.mark_deleting()
        contract = folder.contract()
        drain_seconds = contract.drain_timeout_s if contract else 0.0
        parent = folder.living_parent() or folder.recorded_parent()
        if parent is not None:
            await stop_process(parent, grace_seconds=drain_seconds + _STOP_SECONDS)
            kill_session(parent)
        async with self._exclusive():
            folder.remove()
            if self._logs.exists():
                living = frozenset(one.id for one in replica_folders(self._home.replicas))
                await asyncio.to_thread(prune, self._logs, replica, living)

    async def logs(self, replica: ReplicaId, *, lines: int, follow: bool) -> AsyncIterator[str]:
        """Yield the log; with `follow`, until the replica is removed."""
        folder = replica_folder(self._home.replicas, replica)
        log = self._logs / replica
        if not log.exists() and not folder.path.exists():
            raise NotFound(
                f"no replica {replica} and no log of it", remedy="see the replicas with `engine show`"
            )
        if not follow:
            for line in await asyncio.to_thread(tail, log, lines):
                yield line
            return
        async for line in follow_log(log, lines=lines, over=lambda: not folder.path.exists()):
            yield line

    @property
    def _logs(self) -> Path:
        return self._home.logs / "replicas"

    def _exclusive(self) -> FileLock:
        with disk_errors(self._home.replicas):
            self._home.replicas.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileLock(self._home.run / "replicas.lock", timeout_seconds=_LOCK_SECONDS)

    def _start(self, workload: Workload, plan: ReplicaPlan, python: Path) -> None:
        folder = replica_folder(self._home.replicas, plan.id)
        if folder.deleting or folder.living_parent() is not None:
            return
        log = self._logs / plan.id
        with disk_errors(log):
            log.mkdir(mode=0o700, parents=True, exist_ok=True)
        contract = start_contract(workload, plan, run_dir=str(folder.path), log_dir=str(log))
        folder.write(contract, granted(workload, plan))
        argv = [str(python), "-I", "-m", "modelyard_runtime.replica", str(folder.contract_file)]
        ref = spawn_detached(argv, cwd=folder.path, env=self._environment, log=log / PARENT_LOG)
        folder.write_parent(ref)

    def _see(self, folder: ReplicaFolder) -> Replica:
        return replica_of(gather(folder, last_words=last_line(self._logs / folder.id / PARENT_LOG)))

    async def _with_in_flight(self, replica: Replica) -> Replica:
        if not replica.address:
            return replica
        try:
            count = await in_flight(replica.address)
        except NoAnswer:
            # Not known to be idle: whoever waits for zero must go on waiting.
            count = max(self._last_in_flight.get(replica.id, 0), 1)
        return attrs.evolve(replica, in_flight=count)
