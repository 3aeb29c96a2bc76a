"""The promise of `Target`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from modelyard.api import Candidate, Maturity, Replica, ReplicaPhase, Target, Workload

_POLL_SECONDS = 0.05


class TargetConformance:
    """Override `target`, `workload` (one replica, which becomes READY) and `reopen`."""

    deadline_seconds: ClassVar[float] = 30.0
    """How long a replica may take to change its phase."""

    @pytest.fixture
    def target(self) -> Target:
        """Give the target under test, over a place without replicas."""
        raise NotImplementedError

    @pytest.fixture
    def workload(self) -> Workload:
        """Give a workload with exactly one planned replica."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], Target]:
        """Give a maker of further targets over the same place, as after a restart of the engine."""
        raise NotImplementedError

    def test_the_record_says_what_it_takes(self, target: Target) -> None:
        """It satisfies the Protocol with a name, a maturity and the artifact it wants."""
        assert isinstance(target, Target)
        assert target.name
        assert isinstance(target.maturity, Maturity)
        assert target.artifact in ("environment", "image")

    def test_a_spec_it_can_serve_is_not_refused(self, target: Target, workload: Workload) -> None:
        """`refuse` has nothing against the workload's spec."""
        assert target.refuse(workload.spec) == ()

    def test_it_offers_a_place_to_run(self, target: Target) -> None:
        """Node names are unique."""

        async def case() -> None:
            candidates = await target.candidates()
            assert candidates
            assert all(type(one) is Candidate and one.node for one in candidates)
            assert len({one.node for one in candidates}) == len(candidates)

        asyncio.run(case())

    def test_an_empty_place_has_no_replicas(self, target: Target) -> None:
        """Nothing is made up."""
        assert asyncio.run(_observed(target)) == ()

    def test_applying_twice_makes_one_replica(self, target: Target, workload: Workload) -> None:
        """`apply` is idempotent."""

        async def case() -> None:
            await target.apply(workload)
            seen = await self._until_ready(target, workload)
            assert [one.id for one in await target.observe()] == [workload.replicas[0].id]
            assert (await self._until_ready(target, workload)).pid == seen.pid

        self._run(target, workload, case)

    def test_a_ready_replica_has_an_address(self, target: Target, workload: Workload) -> None:
        """And says which service and revision it is of."""

        async def case() -> None:
            seen = await self._until_ready(target, workload)
            assert seen.address.startswith("unix:/") or ":" in seen.address
            assert (seen.service, seen.revision) == (workload.spec.name, workload.revision)

        self._run(target, workload, case)

    def test_a_drained_idle_replica_has_nothing_in_flight(self, target: Target, workload: Workload) -> None:
        """It leaves READY and comes to zero."""

        async def case() -> None:
            replica = (await self._until_ready(target, workload)).id
            await target.drain(replica)
            seen = await self._until(target, replica, _has_left_service)
            assert seen is None or seen.in_flight == 0

        self._run(target, workload, case)

    def test_deleting_removes_the_replica_and_twice_is_fine(self, target: Target, workload: Workload) -> None:
        """`delete` is idempotent."""

        async def case() -> None:
            replica = (await self._until_ready(target, workload)).id
            await target.delete(replica)
            assert await self._until(target, replica, _is_gone) is None
            await target.delete(replica)

        self._run(target, workload, case)

    def test_a_fresh_target_adopts_what_runs(
        self, target: Target, workload: Workload, reopen: Callable[[], Target]
    ) -> None:
        """The place remembers, not the object: same replica, same process, and it can be stopped."""

        async def case() -> None:
            before = await self._until_ready(target, workload)
            fresh = reopen()
            await fresh.apply(workload)
            after = await self._until(fresh, before.id, _is_ready)
            assert after is not None
            assert (after.id, after.pid, after.address) == (before.id, before.pid, before.address)
            await fresh.delete(before.id)
            assert await self._until(target, before.id, _is_gone) is None

        self._run(target, workload, case)

    def test_the_log_of_a_replica_can_be_read(self, target: Target, workload: Workload) -> None:
        """Without `follow` it ends, and never gives more lines than asked."""

        async def case() -> None:
            replica = (await self._until_ready(target, workload)).id
            lines = [line async for line in target.logs(replica, lines=5, follow=False)]
            assert len(lines) <= 5

        self._run(target, workload, case)

    def test_following_a_log_ends_with_the_replica(self, target: Target, workload: Workload) -> None:
        """With `follow` it goes on while the replica lives, and no longer."""

        async def case() -> None:
            replica = (await self._until_ready(target, workload)).id
            following = asyncio.create_task(_read(target, replica))
            await asyncio.sleep(_POLL_SECONDS)
            assert not following.done()
            await target.delete(replica)
            ended, _ = await asyncio.wait([following], timeout=self.deadline_seconds)
            following.cancel()
            assert ended, f"it is still followed {self.deadline_seconds:g} s after"

        self._run(target, workload, case)

    def test_applying_at_once_makes_one_replica(self, target: Target, workload: Workload) -> None:
        """Whoever comes second finds what the first made."""

        async def case() -> None:
            await asyncio.gather(*(target.apply(workload) for _ in range(3)))
            await self._until_ready(target, workload)
            assert [one.id for one in await target.observe()] == [workload.replicas[0].id]

        self._run(target, workload, case)

    def test_draining_and_deleting_what_is_absent_is_fine(self, target: Target, workload: Workload) -> None:
        """Somebody else may have been faster."""

        async def case() -> None:
            await target.drain(workload.replicas[0].id)
            await target.delete(workload.replicas[0].id)
            assert await target.observe() == ()

        asyncio.run(case())

    def _run(self, target: Target, workload: Workload, case: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def applied() -> None:
            async with _applied(target, workload):
                await case()

        asyncio.run(applied())

    async def _until_ready(self, target: Target, workload: Workload) -> Replica:
        seen = await self._until(target, workload.replicas[0].id, _is_ready)
        assert seen is not None
        return seen

    async def _until(
        self, target: Target, replica: str, good: Callable[[Replica | None], bool]
    ) -> Replica | None:
        end = asyncio.get_running_loop().time() + self.deadline_seconds
        while True:
            seen = next((one for one in await target.observe() if one.id == replica), None)
            if good(seen):
                return seen
            late = asyncio.get_running_loop().time() > end
            assert not late, f"still {seen} after {self.deadline_seconds:g} s"
            await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def _applied(target: Target, workload: Workload) -> AsyncIterator[None]:
    await target.apply(workload)
    try:
        yield
    finally:
        for plan in workload.replicas:
            await target.delete(plan.id)


async def _observed(target: Target) -> tuple[Replica, ...]:
    return await target.observe()


async def _read(target: Target, replica: str) -> list[str]:
    return [line async for line in target.logs(replica, lines=5, follow=True)]


def _is_ready(seen: Replica | None) -> bool:
    return seen is not None and seen.phase is ReplicaPhase.READY


def _has_left_service(seen: Replica | None) -> bool:
    return seen is None or (
        seen.phase in (ReplicaPhase.DRAINING, ReplicaPhase.STOPPED) and not seen.in_flight
    )


def _is_gone(seen: Replica | None) -> bool:
    return seen is None
