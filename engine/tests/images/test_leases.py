"""Leases say who uses what, and since when at the latest."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from modelyard.api import NotFound, UserError
from modelyard.images import Leases
from modelyard.images.leases import RENEWED_SECONDS
from modelyard.testing import InMemoryRegistry

OWN, OTHER = "a" * 12, "b" * 12
KEY = "c" * 64


@attrs.define
class Clock:
    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_tells_its_holder_and_its_time():
    registry, clock = InMemoryRegistry(), Clock()
    own, other = Leases(registry, OWN, clock), Leases(registry, OTHER, clock)

    async def case() -> None:
        assert await own.holders("images") == {}
        assert await own.renewed_at("images", KEY) is None
        await own.renew("images", KEY)
        await other.renew("images", KEY)
        await other.renew("images", f"{KEY}.conflict")
        assert await own.holders("images") == {KEY: {OWN, OTHER}, f"{KEY}.conflict": {OTHER}}
        assert await own.renewed_at("images", KEY) == clock.now

    asyncio.run(case())


def test_a_lease_is_written_once_a_day_at_most():
    registry, clock = InMemoryRegistry(), Clock()
    leases = Leases(registry, OWN, clock)

    async def case() -> None:
        await leases.renew("images", KEY)
        began = clock.now
        clock.now += RENEWED_SECONDS - 1
        await leases.renew("images", KEY)
        assert await leases.renewed_at("images", KEY) == began
        clock.now += 2
        await leases.renew("images", KEY)
        assert await leases.renewed_at("images", KEY) == clock.now

    asyncio.run(case())


def test_a_renewed_lease_leaves_no_old_one_behind():
    registry, clock = InMemoryRegistry(), Clock()

    async def case() -> None:
        await Leases(registry, OWN, clock).renew("images", KEY)
        old = await registry.resolve("leases/images", f"{KEY}.{OWN}")
        clock.now += 10
        await Leases(registry, OWN, clock).renew("images", KEY)
        with pytest.raises(NotFound):
            await registry.resolve("leases/images", old.digest)

    asyncio.run(case())


def test_where_nothing_can_be_deleted_a_lease_is_renewed_all_the_same():
    @attrs.define
    class Keeping(InMemoryRegistry):
        async def delete(self, repository: str, reference: str) -> None:
            raise UserError(f"deletion is off for {repository}:{reference}")

    registry, clock = Keeping(), Clock()

    async def case() -> None:
        await Leases(registry, OWN, clock).renew("images", KEY)
        clock.now += 10
        leases = Leases(registry, OWN, clock)
        await leases.renew("images", KEY)
        assert await leases.renewed_at("images", KEY) == clock.now

    asyncio.run(case())


def test_a_dropped_lease_is_gone_and_may_be_dropped_again():
    registry = InMemoryRegistry()
    leases = Leases(registry, OWN, Clock())

    async def case() -> None:
        await leases.renew("images", KEY)
        await leases.drop("images", KEY)
        await leases.drop("images", KEY)
        assert await leases.holders("images") == {}
        await leases.renew("images", KEY)  # it is not taken for written
        assert await leases.holders("images") == {KEY: {OWN}}

    asyncio.run(case())


def test_tags_that_are_no_leases_are_nobodys():
    registry = InMemoryRegistry()

    async def case() -> None:
        await Leases(registry, "not hex", Clock()).renew("images", KEY)
        assert await Leases(registry, OWN, Clock()).holders("images") == {}

    asyncio.run(case())
