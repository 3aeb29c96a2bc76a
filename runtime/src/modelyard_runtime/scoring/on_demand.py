"""Many models, each by its name: loaded when it is asked for, unloaded when memory is short.

Every model has worker processes of its own, so that unloading one gives all its memory back. The main model,
the first of the list, is loaded at the start: a script that cannot serve fails the replica, not its first request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from modelyard_runtime.causes import CauseClass, StartFailure
from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.budget import Budget
from modelyard_runtime.scoring.catalog import Loading, Standing, versions_by_name
from modelyard_runtime.scoring.evicting import Eviction
from modelyard_runtime.scoring.place import Place, State
from modelyard_runtime.scoring.pool import Pool
from modelyard_runtime.scoring.processes import ProcessPool
from modelyard_runtime.scoring.refusals import TimedOut, Unready
from modelyard_runtime.scoring.sizes import in_files

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.02
"""How soon it is seen that a model has become idle."""
_IN_THE_WAY = "to make room"
Outcome = Literal[State.READY] | StartFailure | None
"""Of loading; None: it found no room."""


class OnDemand(Loading):
    """A `Place` for each model. Whoever waits for one goes on when its `step` is done."""

    def __init__(self, contract: StartContract, changed: Callable[[], None]) -> None:
        super().__init__(versions_by_name(contract.models), changed)
        self._contract = contract
        self._places = {place.key: place for place in map(Place, contract.models)}
        self._budget = Budget(contract.model_memory_bytes, self._places)
        self._making_room = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def running(self) -> int:
        """How many requests workers have, of all models."""
        return sum(pool.running for pool in self._pools())

    @property
    def queued(self) -> int:
        """How many wait for a slot, at all models."""
        return sum(pool.queued for pool in self._pools())

    def start(self) -> None:
        """Load the main model, and watch the budget."""
        self._begin(self._places[self.exact("", "")])
        if self._budget.size_bytes:
            self._watching = asyncio.create_task(self._keep_within_budget())

    def standings(self) -> Iterator[Standing]:
        """Say how every model stands."""
        for name, versions in self.names.items():
            yield from (self._places[name, version].standing for version in versions)

    async def find(self, name: str, version: str, deadline: float) -> Pool:
        """Return a model's pool, loaded for this request where need be. Raises a `Refusal`."""
        place = self._places[self.exact(name, version)]
        return await self._loaded(place, deadline)

    async def load(self, name: str, version: str, deadline: float) -> None:
        """Load a model, now even where it has just failed; one that is loaded stays. Raises a `Refusal`."""
        place = self._places[self.exact(name, version)]
        if place.state is State.FAILED:
            self._begin(place)
        await self._loaded(place, deadline)

    async def unload(self, name: str, version: str) -> None:
        """Unload a model, once its requests are answered; without a version, all of them. Raises `Unknown`."""
        versions = self.versions(name, version)
        chosen = (version,) if version else versions
        places = [self._places[name or self.main, one] for one in chosen]
        await asyncio.gather(*(self._unloaded(place, "it was unloaded") for place in places))

    async def close(self) -> None:
        """End all workers."""
        self._closed, self.table = True, {}
        steps = [place.step for place in self._places.values() if place.step is not None]
        steps += [self._watching] if self._watching is not None else []
        for step in steps:
            step.cancel()
        await asyncio.gather(*steps, return_exceptions=True)
        await asyncio.gather(*(pool.close() for pool in self._pools()))

    # --- waiting for a model -----------------------------------------------------------------------

    async def _loaded(self, place: Place, deadline: float) -> Pool:
        place.waiting += 1
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await self._brought(place)
        except TimeoutError as error:
            name, version = place.key
            doing = place.state.name.lower()
            raise TimedOut(
                f"the request's time was over while model '{name}' version {version} was {doing}", begun=False
            ) from error
        finally:
            place.waiting -= 1

    async def _brought(self, place: Place) -> Pool:
        while place.state is not State.READY:
            if self._closed:
                raise Unready("this replica has stopped")
            if place.may_be_tried:
                self._begin(place)
            elif place.state is State.FAILED:
                raise place.refusal()
            await _done(place.step)
        if place.pool is None or not place.pool.ready:
            raise Unready(place.standing.reason)
        return place.pool

    # --- loading -------------------------------------------------------------------------------------

    def _begin(self, place: Place) -> None:
        place.enter(State.LOADING)
        place.step = asyncio.create_task(self._load(place))
        place.step.add_done_callback(place.given_up)  # it may be cancelled before its first line runs

    async def _load(self, place: Place) -> None:
        """Take a model from LOADING to READY or FAILED; to UNLOADED where nobody wants it any more.

        Until it is READY its workers are ended first: whoever then sees it may begin anew.
        """
        outcome: Outcome = None
        try:
            outcome = await self._outcome(place)
        finally:
            if outcome is not State.READY:
                await self._end_workers(place)
        if isinstance(outcome, StartFailure):
            self._note_failure(place, outcome)
        elif outcome is State.READY:
            place.enter(State.READY)
            self.ready = True
            self._publish()
            self._budget.loaded()
        else:
            place.enter(State.UNLOADED, "it found no room while it was waited for")

    async def _outcome(self, place: Place) -> Outcome:
        try:
            if not await self._make_room(place):
                return None
            return await self._start_workers(place) or await self._too_large(place) or State.READY
        except (OSError, RuntimeError) as error:
            remedy = "the machine may be out of memory, processes or threads"
            return StartFailure(f"it cannot be started: {error}", remedy, CauseClass.CANNOT_START)

    async def _start_workers(self, place: Place) -> StartFailure | None:
        settled = asyncio.Event()

        def changed(pool: Pool) -> None:
            settled.set()
            if place.state is State.READY and place.pool is pool:
                self._publish()

        place.pool = pool = ProcessPool(place.contract(self._contract), changed)
        pool.start()
        await settled.wait()
        self.description = pool.description or self.description
        return pool.failure

    def _note_failure(self, place: Place, failure: StartFailure) -> None:
        place.fail(failure.cause, pause_s=self._contract.backoff_s(place.failures + 1))
        log.error("model %s:%s cannot be loaded: %s; %s", *place.key, failure.cause, failure.remedy)
        if not self.ready and place.key == self.exact("", ""):
            self.failure = failure
            self._changed()

    async def _too_large(self, place: Place) -> StartFailure | None:
        if not self._budget.size_bytes:
            return None
        await self._budget.weigh()
        limit = self._budget.size_bytes
        if place.size_bytes <= limit:
            return None
        return StartFailure(
            f"it takes {place.size_bytes >> 20} MiB of memory, all models together may take {limit >> 20} MiB",
            "raise multi_model.memory (by hand: --model-memory), or take fewer workers",
            0,
        )

    # --- unloading -----------------------------------------------------------------------------------

    async def _unloaded(self, place: Place, reason: str) -> None:
        """Bring a model to UNLOADED from wherever it stands; again is nothing."""
        if place.state is State.LOADING and place.step is not None:
            place.step.cancel()
        await _done(place.step)
        if place.state is State.READY:
            place.enter(State.UNLOADING)
            self._publish()
            place.step = asyncio.create_task(self._unload(place, reason))
            place.step.add_done_callback(place.given_up)
            await _done(place.step)
        elif place.state is State.UNLOADED:
            place.reason = reason

    async def _unload(self, place: Place, reason: str) -> None:
        pool = place.pool
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._contract.drain_timeout_s):
                while pool is not None and pool.busy:  # noqa: ASYNC110  # becoming idle costs requests nothing
                    await asyncio.sleep(_LOOK_EVERY_S)
        await self._end_workers(place)
        place.enter(State.UNLOADED, reason)

    async def _end_workers(self, place: Place) -> None:
        if place.pool is not None:
            await place.pool.close()
            place.pool = None

    # --- memory --------------------------------------------------------------------------------------

    async def _make_room(self, place: Place) -> bool:
        """Unload others until this model fits, as far as is known; False where its requests left meanwhile.

        While all others are busy it waits: what runs is never interrupted.
        """
        if not self._budget.size_bytes:
            return True
        async with self._making_room:
            likely = place.size_bytes or await asyncio.to_thread(in_files, Path(place.model.path))
            place.expected_bytes = min(likely, self._budget.size_bytes)
            await self._budget.weigh()
            while not (eviction := self._budget.choose(need_bytes=place.expected_bytes)).fits:
                if not place.waiting:
                    return False
                await asyncio.sleep(_LOOK_EVERY_S)
            await self._make_leave(eviction)
        return True

    async def _make_leave(self, eviction: Eviction) -> None:
        leaving = [self._places[key] for key in eviction.leaving]
        await asyncio.gather(*(self._unloaded(place, _IN_THE_WAY) for place in leaving))

    async def _keep_within_budget(self) -> None:
        while True:
            await self._budget.until_due()
            await self._budget.weigh()
            await self._make_leave(self._budget.choose(need_bytes=0))

    # --- what others see -------------------------------------------------------------------------------

    def _pools(self) -> list[ProcessPool]:
        return [place.pool for place in self._places.values() if place.pool is not None]

    def _publish(self) -> None:
        ready = [
            (place.key, place.pool)
            for place in self._places.values()
            if place.state is State.READY and place.pool is not None and place.pool.ready
        ]
        self.table = {key: pool for own, pool in ready for key in self._keys(*own)}
        self._changed()


async def _done(step: asyncio.Task[None] | None) -> None:
    """Wait for a step, whichever way it ends; who waits may leave."""
    if step is not None:
        await asyncio.wait((step,))  # also where it is done: what follows from its end comes first
