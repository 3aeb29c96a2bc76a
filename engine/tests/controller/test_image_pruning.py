"""Prune removes what nobody needs, and nothing else, however it is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelyard.api import PruneReport, UserError
from modelyard.controller.artifacts import pruning
from modelyard.images import BASE_IMAGES, ENGINES, ENVIRONMENT_IMAGES, Leases, key_lock
from modelyard.testing import InMemoryRegistry

from engine.tests.controller.library import DAY, Library, last

LOCKS = "environments"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.at(tmp_path)


async def prune(library: Library, *, dry_run: bool = False, keep_days: float = 30) -> PruneReport:
    return (await last(library.images.prune(keep_days=keep_days, dry_run=dry_run)))[0]


async def used(library: Library, *things: tuple[str, str]) -> None:
    for thing in things:
        await library.leasing.leases(library.registry).renew(*thing)


async def aged(library: Library, *pins: str, **more: Any) -> str:
    """Put an image there that this engine used forty days ago."""
    key = await library.environment(*pins, **more)
    await used(library, (ENVIRONMENT_IMAGES, key), (LOCKS, key))
    library.now += 40 * DAY
    return key


def test_an_old_image_that_nothing_refers_to_goes_with_its_locks_and_leases(library: Library):
    async def case() -> None:
        key = await aged(library, "numpy==2.1.0")
        report = await prune(library)
        assert [one.name for one in report.removed] == [f"{ENVIRONMENT_IMAGES}:{key}", f"{LOCKS}:{key}"]
        assert report.freed_bytes > 1000
        assert await library.tags() == await library.tags(LOCKS) == set()
        assert await library.tags(f"leases/{ENVIRONMENT_IMAGES}") == set()
        assert (await prune(library)).removed == ()

    asyncio.run(case())


def test_a_dry_run_changes_nothing(library: Library):
    async def case() -> None:
        key = await aged(library, "numpy==2.1.0")
        fresh = await library.environment("numpy==2.2.0")
        report = await prune(library, dry_run=True)
        assert len(report.removed) == 2
        assert await library.tags() == {key, fresh}
        assert await library.tags(f"leases/{ENVIRONMENT_IMAGES}") == {
            f"{key}.{library.leasing.leases(library.registry).holder}"
        }

    asyncio.run(case())


def test_what_an_image_of_the_engine_stands_on_stays_until_that_one_is_deleted(library: Library):
    async def case() -> None:
        key = await aged(library, "numpy==2.1.0", steps=("RUN true",))
        await library.engine(key)
        library.now += 400 * DAY
        report = await prune(library)
        assert report.removed == ()
        assert {one.why for one in report.kept if one.name.endswith(key)} >= {"images/engine:0.1.0 use it"}
        assert await library.tags() == await library.tags(LOCKS) == {key}
        assert len(await library.tags(BASE_IMAGES)) == 1
        (listed,) = [one for one in await library.images.list("") if one.tag == key]
        assert listed.used_by == ("images/engine:0.1.0",)
        await library.registry.delete(ENGINES, "0.1.0")
        await prune(library)
        assert await library.tags() == await library.tags(LOCKS) == set()

    asyncio.run(case())


def test_an_image_of_the_engine_that_was_made_meanwhile_keeps_what_it_stands_on(
    library: Library, monkeypatch: pytest.MonkeyPatch
):
    async def case() -> None:
        key = await aged(library, "numpy==2.1.0")
        lock = pruning.key_lock

        @asynccontextmanager
        async def waiting(*asked: Any, **more: Any) -> AsyncIterator[None]:
            async with lock(*asked, **more):
                await library.engine(key)
                yield

        monkeypatch.setattr(pruning, "key_lock", waiting)
        await prune(library)
        assert await library.tags() == {key}

    asyncio.run(case())


def test_what_a_revision_refers_to_stays_with_its_locks(library: Library):
    async def case() -> None:
        key = await aged(library, "numpy==2.1.0")
        library.revision(1, key)
        report = await prune(library)
        assert (report.removed, report.freed_bytes) == ((), 0)
        assert await library.tags() == await library.tags(LOCKS) == {key}

    asyncio.run(case())


def test_the_locks_that_a_revision_was_made_by_stay(library: Library):
    async def case() -> None:
        for tag in ("asked", "forgotten"):
            await library.registry.push(LOCKS, (await _record()), tag=tag)
            await used(library, (LOCKS, tag))
        library.now += 40 * DAY
        library.revision(1, "k", locks=("asked",))
        await prune(library)
        assert await library.tags(LOCKS) == {"asked"}

    asyncio.run(case())


def test_a_revision_of_an_older_release_keeps_every_lock(library: Library):
    async def case() -> None:
        await library.registry.push(LOCKS, (await _record()), tag="maybe")
        await used(library, (LOCKS, "maybe"))
        library.now += 40 * DAY
        library.revision(1, "k", locks=())
        assert (await prune(library)).removed == ()

    asyncio.run(case())


def test_what_nobody_knows_the_age_of_is_kept_and_counts_from_then_on(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0")
        assert (await prune(library)).removed == ()
        library.now += 29 * DAY
        assert (await prune(library)).removed == ()
        library.now += 2 * DAY
        assert [one.kind for one in (await prune(library)).removed] == ["image", "lock"]
        assert key not in await library.tags()

    asyncio.run(case())


def test_what_another_engine_uses_stays_until_that_lets_go(library: Library):
    async def case() -> None:
        key = await aged(library, "numpy==2.1.0")
        other = Leases(library.registry, "b" * 12, lambda: library.now)
        await other.renew(ENVIRONMENT_IMAGES, key)
        report = await prune(library)
        assert "another engine uses it: bbbbbbbbbbbb" in [one.why for one in report.kept]
        assert await library.tags() == {key}
        # this engine uses it no more: the other one may remove it when it is done
        assert await other.holders(ENVIRONMENT_IMAGES) == {key: {"b" * 12}}

    asyncio.run(case())


def test_what_a_build_takes_at_this_moment_stays(library: Library):
    async def case() -> None:
        key = await aged(library, "numpy==2.1.0")
        with library.leasing.using(library.registry) as uses:
            uses._hold(ENVIRONMENT_IMAGES, key)
            report = await prune(library)
        assert "a build that runs use it" in [one.why for one in report.kept]
        assert await library.tags() == {key}

    asyncio.run(case())


def test_an_image_whose_build_runs_in_another_process_stays(library: Library):
    async def case() -> None:
        key = await aged(library, "numpy==2.1.0")
        folder = library.home.cache / "images"
        folder.mkdir(parents=True)
        async with key_lock(folder, key, timeout_seconds=1):
            await prune(library)
            assert await library.tags() == await library.tags(LOCKS) == {key}
        await prune(library)
        assert await library.tags() == await library.tags(LOCKS) == set()

    asyncio.run(case())


def test_while_a_deploy_is_on_its_way_to_its_environment_nothing_goes(library: Library):
    async def case() -> None:
        key = await aged(library, "numpy==2.1.0")
        library.revision(1, "", outcome="pending", locks=())
        assert (await prune(library)).removed == ()
        library.history[0] = attrs.evolve(library.history[0], outcome="failed")
        assert key in {one.name.partition(":")[2] for one in (await prune(library)).removed}

    asyncio.run(case())


def test_what_came_into_use_after_it_was_judged_stays(library: Library):
    @attrs.define
    class Late(InMemoryRegistry):
        async def delete(self, repository: str, reference: str) -> None:
            # the first removal takes so long that somebody deploys meanwhile
            if not library.history:
                library.revision(1, max(keys))
            await super().delete(repository, reference)

    library.registry = Late("memory")
    library.__attrs_post_init__()
    keys: list[str] = []

    async def case() -> None:
        keys.extend([await library.environment("numpy==2.1.0"), await library.environment("numpy==2.2.0")])
        await used(library, *((ENVIRONMENT_IMAGES, key) for key in keys))
        library.now += 40 * DAY
        report = await prune(library)
        assert [one.name for one in report.removed] == [f"{ENVIRONMENT_IMAGES}:{min(keys)}"]
        assert "digits:1 use it" in [one.why for one in report.kept]
        assert await library.tags() == {max(keys)}

    asyncio.run(case())


def test_a_base_goes_with_the_last_image_on_it_and_not_before(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0", steps=("RUN true",))
        (base,) = await library.tags(BASE_IMAGES)
        await used(library, (BASE_IMAGES, base), (ENVIRONMENT_IMAGES, key))
        library.now += 40 * DAY
        library.revision(1, key)
        await prune(library)
        assert await library.tags(BASE_IMAGES) == {base}
        library.history.clear()
        await prune(library)
        assert await library.tags(BASE_IMAGES) == await library.tags() == set()

    asyncio.run(case())


def test_images_of_services_go_with_their_revisions(library: Library):
    async def case() -> None:
        for number in (1, 2):
            await library.service(number)
            await used(library, ("images/services/digits", str(number)))
        # a rollback: the same image as revision 1 had, under a number of its own
        again = await library.service(1, tag="3")
        library.now += 40 * DAY
        library.revision(3, "k", image=again)
        await prune(library)
        assert await library.tags("images/services/digits") == {"1", "3"}

    asyncio.run(case())


def test_other_registries_are_left_alone(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0", registry=library.other)
        await library.leasing.leases(library.other).renew(ENVIRONMENT_IMAGES, key)
        library.now += 400 * DAY
        assert (await prune(library, keep_days=0)).removed == ()
        assert await library.other.list_tags(ENVIRONMENT_IMAGES) == (key,)

    asyncio.run(case())


def test_a_lease_of_what_is_gone_is_dropped_in_time(library: Library):
    async def case() -> None:
        await used(library, (ENVIRONMENT_IMAGES, "k" * 64))
        assert (await prune(library)).removed == ()
        library.now += 40 * DAY
        assert [one.kind for one in (await prune(library)).removed] == ["lease"]
        assert await library.tags(f"leases/{ENVIRONMENT_IMAGES}") == set()

    asyncio.run(case())


def test_stopped_in_the_middle_it_goes_on_with_the_next_run(library: Library):
    @attrs.define
    class Failing(InMemoryRegistry):
        deletes: int = 0

        async def delete(self, repository: str, reference: str) -> None:
            self.deletes += 1
            if self.deletes == 2:  # the image is gone, its lease is not
                raise UserError("the line broke")
            await super().delete(repository, reference)

    library.registry = Failing("memory")
    library.__attrs_post_init__()

    async def case() -> None:
        await aged(library, "numpy==2.1.0")
        with pytest.raises(UserError, match="the line broke"):
            await prune(library)
        await prune(library)
        for repository in (ENVIRONMENT_IMAGES, LOCKS, f"leases/{ENVIRONMENT_IMAGES}", f"leases/{LOCKS}"):
            assert await library.tags(repository) == set()

    asyncio.run(case())


def test_a_negative_number_of_days_is_refused(library: Library):
    with pytest.raises(UserError, match="-1 days"):
        library.images.prune(keep_days=-1, dry_run=True)


@given(
    referred=st.sets(st.integers(0, 4)),
    foreign=st.sets(st.integers(0, 4)),
    unleased=st.sets(st.integers(0, 4)),
    days=st.integers(0, 60),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
def test_whatever_is_referred_to_is_never_removed(
    tmp_path: Path, referred: set[int], foreign: set[int], unleased: set[int], days: int
):
    library = Library.at(tmp_path)

    async def case() -> None:
        keys = [await library.environment(f"numpy==2.{number}") for number in range(5)]
        other = Leases(library.registry, "b" * 12, lambda: library.now)
        for number, key in enumerate(keys):
            if number not in unleased:
                await used(library, (ENVIRONMENT_IMAGES, key), (LOCKS, key))
            if number in foreign:
                await other.renew(ENVIRONMENT_IMAGES, key)
            if number in referred:
                library.revision(number + 1, key)
        library.now += 40 * DAY
        await prune(library, keep_days=days)
        safe = {keys[number] for number in referred | foreign | unleased}
        assert safe <= await library.tags()
        assert {keys[number] for number in referred} <= await library.tags(LOCKS)
        assert (set(keys) == await library.tags()) or days <= 40

    asyncio.run(case())


async def _record() -> Any:
    from modelyard.api import Artifact

    return Artifact("application/vnd.modelyard.environment.v1", ())
