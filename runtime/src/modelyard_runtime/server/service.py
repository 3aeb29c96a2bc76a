"""One scoring service in this process: its models, its readiness, its way out."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from modelyard_runtime.contract import StartContract
from modelyard_runtime.pairing import leave_failure
from modelyard_runtime.scoring import Key, Pool, make_catalog
from modelyard_runtime.server.announcing import Announcer, Unheard
from modelyard_runtime.server.cors import Cors
from modelyard_runtime.server.problems import NotReady

log = logging.getLogger(__name__)

_HEARD_WITHIN_S = 0.5
"""Envoy hears of a drain in milliseconds; where it does not, the drain is not held up for longer."""


class Service:
    """What the routes share. Everything but the pools' workers lives on the event loop."""

    def __init__(self, contract: StartContract, announcer: Announcer | Unheard | None = None) -> None:
        self.contract = contract
        self._announcer = announcer or Unheard()
        self.strict = contract.compat == "strict-v1"
        self.timeout_s = contract.timeout_s
        self.cors = Cors(contract.cors_origins)
        self.open = 0
        """Scoring requests whose answer has not left yet."""
        self.draining = False
        self.catalog = make_catalog(contract, self._catalog_changed)
        self.models = self.catalog.names
        """Every model with its versions, the newest last."""
        self.main = self.catalog.main
        """The model of a request that names none."""
        self.pools: dict[Key, Pool] = {}
        """Ready pools by name and version; "" = the main one, the newest. Empty while no requests are taken."""

    @property
    def ready(self) -> bool:
        """Whether new requests are served."""
        return self.catalog.ready and not self.draining

    @property
    def failed(self) -> str:
        """Why it cannot serve; "" while it can, or will."""
        return self.catalog.failure.cause if self.catalog.failure is not None else ""

    @property
    def unready(self) -> str:
        """Why new requests are not served; "" while they are."""
        if self.ready:
            return ""
        return self.failed or ("this replica is draining" if self.draining else "init() is running")

    def start(self) -> None:
        """Load the script; returns at once."""
        self.catalog.start()

    async def close(self) -> None:
        """End the workers."""
        self.pools = {}
        self._announcer.close()
        await self.catalog.close()

    async def drain(self) -> None:
        """Refuse new requests from now on; returns once nobody hears any more that this replica is ready."""
        self.draining = True
        self.pools = {}
        self._announcer.say(self.ready)
        if not await self._announcer.heard(within_s=_HEARD_WITHIN_S):
            log.warning("Envoy may answer 'ready' a little longer: it has not heard of the drain")

    def deadline(self) -> float:
        """When a request that arrives now must be answered, on `time.monotonic()`."""
        return time.monotonic() + self.timeout_s

    def versions(self, name: str, version: str) -> tuple[str, ...]:
        """Return the versions of a model; "" = the main one. Raises `Unknown` for one there is not."""
        return self.catalog.versions(name, version)

    async def find(self, name: str, version: str, deadline: float) -> Pool:
        """Return the pool for a model that `pools` does not have. Raises `NotReady`, a `Refusal`."""
        if self.draining:
            self.versions(name, version)
            raise NotReady("this replica is draining")
        return await self.catalog.find(name, version, deadline)

    def status(self) -> dict[str, Any]:
        """Say what STATUS_PATH answers."""
        queued = self.catalog.queued
        return {
            "ready": self.ready,
            "draining": self.draining,
            "running": max(self.catalog.running, self.open - queued),
            "queued": queued,
        }

    def _catalog_changed(self) -> None:
        self.pools = {} if self.draining else self.catalog.table
        if self.catalog.failure is not None:
            leave_failure(Path(self.contract.run_dir), self.catalog.failure)
        self._announcer.say(self.ready)  # last: whoever hears of it finds the reason
