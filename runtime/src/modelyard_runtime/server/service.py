"""One scoring service in this process: its script, its readiness, its slots, its way out.

The event loop's side of a request: admit, hand to a worker thread, wait no longer than the deadline.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from modelyard_runtime.contract import StartContract
from modelyard_runtime.pairing import leave_failure
from modelyard_runtime.scoring import Script, Workers, explain, load
from modelyard_runtime.server.admission import Gate, Gone
from modelyard_runtime.server.problems import NotReady, ScoringTimeout

log = logging.getLogger(__name__)


class Service:
    """What the routes share."""

    def __init__(self, contract: StartContract) -> None:
        self.contract = contract
        self.models = model_names(contract)
        self.gate = Gate(
            max_concurrent=contract.max_concurrent,
            max_queued=contract.max_queued,
            queue_wait_s=contract.queue_wait_s,
        )
        self.open = 0
        """Scoring requests whose answer has not left yet."""
        self.draining = False
        self.failed = ""
        self._initialised = False
        self._script: Script | None = None
        self._workers = Workers(contract.max_concurrent)

    @property
    def ready(self) -> bool:
        """Whether new requests are served."""
        return self._initialised and not self.draining

    @property
    def script(self) -> Script:
        """The script, once it is ready. Raises `NotReady`."""
        if self._script is None or not self._initialised:
            raise NotReady(self.failed or "init() has not finished yet")
        if self.draining:
            raise NotReady("this replica is draining")
        return self._script

    def start(self) -> None:
        """Load the script and run its `init()` on a worker thread; returns at once."""
        self._workers.submit(self._initialise, asyncio.get_running_loop(), self._initialisation_over)

    def close(self) -> None:
        """Let the worker threads end."""
        self._workers.close()

    def status(self) -> dict[str, Any]:
        """Say what STATUS_PATH answers."""
        queued = self.gate.queued
        return {
            "ready": self.ready,
            "draining": self.draining,
            "running": max(self.gate.running if self._initialised else 0, self.open - queued),
            "queued": queued,
        }

    async def perform(self, work: Callable[[], Any], *, deadline: float, gone: Gone) -> Any:
        """Run `work` on a worker thread within the service's limits."""
        if not self.gate.try_enter():
            await self.gate.wait(deadline, gone)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        timer = loop.call_at(deadline, self._expire, answer)
        self._workers.submit(work, loop, partial(self._worker_done, answer))
        try:
            return await answer
        finally:
            timer.cancel()

    def deadline(self, client_timeout_s: float = float("inf")) -> float:
        """When a request that arrives now must be answered, on the event loop's clock."""
        return asyncio.get_running_loop().time() + min(self.contract.timeout_s, client_timeout_s)

    def _worker_done(self, answer: asyncio.Future[Any], value: Any, failure: BaseException | None) -> None:
        self.gate.leave()
        if answer.done():
            return
        if failure is None:
            answer.set_result(value)
        else:
            answer.set_exception(ScriptRaised(failure))

    def _expire(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            answer.set_exception(
                ScoringTimeout("the model did not answer in time; its run() goes on until it ends")
            )

    def _initialise(self) -> Script:
        started = time.monotonic()
        script = load(Path(self.contract.code_dir), self.contract.entry)
        script.init()
        log.info("init() finished in %.2f s", time.monotonic() - started)
        return script

    def _initialisation_over(self, script: Script | None, failure: BaseException | None) -> None:
        if failure is None:
            self._script, self._initialised = script, True
            return
        cause, remedy = explain(failure, Path(self.contract.code_dir), doing="init()")
        self.failed = cause
        leave_failure(Path(self.contract.run_dir), cause, remedy)


class ScriptRaised(Exception):
    """Carries what the worker's job raised, whatever it was, across the event loop."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__(type(failure).__name__)
        self.failure = failure


def model_names(contract: StartContract) -> dict[str, tuple[str, ...]]:
    """List the names a model answers to, with their versions: the service's own and the registered ones.

    AZUREML_MODEL_DIR is either `<root>/<name>/<version>` (one model) or the root over several.
    """
    names: dict[str, tuple[str, ...]] = {contract.service: (str(contract.revision),)}
    if not contract.model_dir:
        return names
    folder = Path(contract.model_dir)
    if folder.name.isdigit():
        return names | {folder.parent.name: (folder.name,)}
    for model in sorted(folder.iterdir()) if folder.is_dir() else ():
        versions = [item.name for item in model.iterdir() if item.name.isdigit()] if model.is_dir() else []
        if versions:
            names[model.name] = tuple(sorted(versions, key=int))
    return names
