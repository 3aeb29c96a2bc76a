"""Who holds a server to its memory limit: a control group made for it, the container's own, or else the parent."""

from __future__ import annotations

import signal

from modelyard_runtime.contract import StartContract
from modelyard_runtime.replica.logs import Log
from modelyard_runtime.replica.memory import MemoryGroup, make_group


class MemoryLimit:
    """One replica's; `container` is the group that the whole container is in, where there is a container."""

    def __init__(self, contract: StartContract, log: Log, *, container: MemoryGroup | None = None) -> None:
        self._name = contract.replica
        self._bytes = contract.memory_limit_bytes
        self._log = log
        self._group: MemoryGroup | None = None
        self._container = container
        self._kills = 0
        self._kills_around = 0
        self._killed = False

    def prepare(self) -> None:
        """Make ready for a new server."""
        if self._bytes and not self._around:
            self._group = make_group(self._name, self._bytes)
        self._kills = self._group.kills() if self._group is not None else 0
        self._kills_around = self._container.kills() if self._container is not None else 0
        self._killed = False

    def confine(self, pid: int) -> None:
        """Move it into its group before it has loaded anything; where that fails, memory is watched."""
        if self._group is None:
            return
        try:
            self._group.procs.write_text(str(pid), encoding="ascii")
        except OSError as error:
            self._log.say(f"the memory limit is watched, not enforced by the kernel: {error}")
            self._group.remove()
            self._group = None

    def is_over(self, resident: int) -> bool:
        """Whether the parent must end it, because the kernel does not; then that is remembered."""
        over = bool(self._bytes) and not self._around and self._group is None and resident > self._bytes
        self._killed = self._killed or over
        return over

    def exceeded(self, status: int) -> int:
        """Return the limit in bytes that a server which ended with this status died of; 0 = none."""
        if self._killed or (self._group is not None and self._group.kills() > self._kills):
            return self._bytes
        around = self._container
        if around is not None and status == -signal.SIGKILL and around.kills() > self._kills_around:
            return around.limit() or self._bytes
        return 0

    def remove(self) -> None:
        """Remove the group that was made."""
        if self._group is not None:
            self._group.remove()

    @property
    def _around(self) -> bool:
        """Whether the container's own limit is as tight: then the kernel sees to it."""
        limit = self._container.limit() if self._container is not None else 0
        return 0 < limit <= self._bytes
