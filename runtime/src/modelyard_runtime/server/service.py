"""One scoring service in this process: its models' pools, its readiness, its way out."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from modelyard_runtime.contract import StartContract
from modelyard_runtime.pairing import leave_failure
from modelyard_runtime.scoring import Pool, make_pool
from modelyard_runtime.server.announcing import Announcer
from modelyard_runtime.server.cors import Cors
from modelyard_runtime.server.problems import NotFound, NotReady

log = logging.getLogger(__name__)

_HEARD_WITHIN_S = 0.5
"""Envoy hears of a drain in milliseconds; where it does not, the drain is not held up for longer."""


class Service:
    """What the routes share. Everything but the pools' workers lives on the event loop."""

    def __init__(self, contract: StartContract, announcer: Announcer | None = None) -> None:
        self.contract = contract
        self._announcer = announcer
        self.strict = contract.compat == "strict-v1"
        self.timeout_s = contract.timeout_s
        self.cors = Cors(contract.cors_origins)
        self.open = 0
        """Scoring requests whose answer has not left yet."""
        self.draining = False
        self.models = model_versions(contract)
        self.pool = make_pool(contract, self._pool_changed)
        self.pools: dict[tuple[str, str], Pool] = {}
        """Ready pools by name and version; "" = the newest. Empty while this replica takes no requests."""

    @property
    def default(self) -> Pool | None:
        """The pool of the one script, while it takes requests."""
        return self.pool if self.pool.ready and not self.draining else None

    @property
    def ready(self) -> bool:
        """Whether new requests are served."""
        return self.pool.ready and not self.draining

    @property
    def failed(self) -> str:
        """Why it cannot serve; "" while it can, or will."""
        return self.pool.failure.cause if self.pool.failure is not None else ""

    def start(self) -> None:
        """Load the script; returns at once."""
        self.pool.start()

    async def close(self) -> None:
        """End the workers."""
        self.pools = {}
        if self._announcer is not None:
            self._announcer.close()
        await self.pool.close()

    async def drain(self) -> None:
        """Refuse new requests from now on; returns once nobody hears any more that this replica is ready."""
        self.draining = True
        self.pools = {}
        self._announce()
        if self._announcer is not None and not await self._announcer.heard(within_s=_HEARD_WITHIN_S):
            log.warning("Envoy may answer 'ready' a little longer: it has not heard of the drain")

    def deadline(self) -> float:
        """When a request that arrives now must be answered, on `time.monotonic()`."""
        return time.monotonic() + self.timeout_s

    def versions(self, name: str, version: str) -> tuple[str, ...]:
        """Return the versions of a model; "" = the service's own. Raises `NotFound` for one there is not."""
        name = name or self.contract.service
        versions = self.models.get(name)
        if versions is None:
            raise NotFound(f"no model is called '{name}'; there are {', '.join(self.models)}")
        if version and version not in versions:
            raise NotFound(f"model '{name}' has no version '{version}'; there are {', '.join(versions)}")
        return versions

    def find(self, name: str, version: str) -> Pool:
        """Return the pool that serves a model, which may be in no table. Raises `NotFound`, `NotReady`."""
        self.versions(name, version)
        if self.draining:
            raise NotReady("this replica is draining")
        if not self.pool.ready:
            raise NotReady(self.failed or "init() has not finished yet")
        return self.pool

    def status(self) -> dict[str, Any]:
        """Say what STATUS_PATH answers."""
        queued = self.pool.queued
        return {
            "ready": self.ready,
            "draining": self.draining,
            "running": max(self.pool.running, self.open - queued),
            "queued": queued,
        }

    def _pool_changed(self, pool: Pool) -> None:
        self.pools = self._names() if pool.ready and not self.draining else {}
        if pool.failure is not None:
            leave_failure(Path(self.contract.run_dir), pool.failure)
        self._announce()  # last: whoever hears of it finds the reason

    def _announce(self) -> None:
        if self._announcer is not None:
            self._announcer.say(self.ready)

    def _names(self) -> dict[tuple[str, str], Pool]:
        return {
            (name, version): self.pool
            for name, versions in self.models.items()
            for version in ("", *versions)
        }


def model_versions(contract: StartContract) -> dict[str, tuple[str, ...]]:
    """List the names a replica answers to, with their versions: the service's own and its models'."""
    names: dict[str, tuple[str, ...]] = {contract.service: (str(contract.revision),)}
    for model in contract.models:
        names[model.name] = (*names.get(model.name, ()), model.version)
    return names
