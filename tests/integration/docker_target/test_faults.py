"""What is promised when the daemon, a container, an image, the disk or the engine itself fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import ImageRef, ReplicaPhase, SystemError_, Unavailable
from modelyard.targets.docker.bringing import tag_of
from modelyard.targets.docker.brought import NEW_SECONDS
from modelyard.targets.docker.labels import is_deleting
from modelyard_registry.layout import OciLayoutRegistry

from tests.testbed.docker_daemon import DockerDaemon, docker_client, own_daemon
from tests.testbed.service_image import ECHO, ServiceImages

from .conftest import REPLICA, Place, by_hand, cleared, labelled, only, until, workload_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[3]


def is_ready(seen: tuple[Any, ...]) -> bool:
    return bool(seen) and seen[0].phase is ReplicaPhase.READY


def is_failed(seen: tuple[Any, ...]) -> bool:
    return bool(seen) and seen[0].phase is ReplicaPhase.FAILED


def images_of(place: Place) -> list[str]:
    client = docker_client(place.address)
    try:
        return [tag for one in client.images.list() for tag in one.tags]
    finally:
        client.close()


# --- the daemon --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_after_a_restart_of_the_daemon_replicas_come_back_by_themselves(
    mortal: Place, docker_daemon: DockerDaemon, echo: ImageRef, how: str
):
    async def case() -> None:
        async with cleared(mortal):
            before = only(await mortal.run(workload_of(echo)))
            target = mortal.target()
            assert is_ready(await target.observe())
            await asyncio.to_thread(getattr(docker_daemon, how))
            with pytest.raises(Unavailable) as caught:
                await target.observe()
            assert caught.value.place == mortal.address
            await asyncio.to_thread(docker_daemon.start)
            after = only(await mortal.when(is_ready))
            assert after.pid != before.pid
            assert after.address
            assert is_ready(await target.observe()), "the target that saw it go sees it come back"

    asyncio.run(case())


def test_with_live_restore_replicas_run_through_a_restart(
    home: Any, service_images: ServiceImages, echo: ImageRef
):
    async def case(daemon: DockerDaemon) -> None:
        place = Place(home, daemon.address, service_images)
        async with cleared(place):
            before = only(await place.run(workload_of(echo)))
            await asyncio.to_thread(daemon.restart)
            after = only(await place.when(is_ready))
            assert (after.pid, after.address, after.restarts) == (before.pid, before.address, 0)

    with own_daemon(options=("--live-restore",)) as daemon:
        asyncio.run(case(daemon))


# --- a container -------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "cause"), [("kill", "was killed"), ("stop", "was stopped by hand")])
def test_one_that_is_ended_by_hand_is_failed_and_started_again_by_apply(
    place: Place, echo: ImageRef, what: str, cause: str
):
    async def case() -> None:
        async with cleared(place):
            before = only(await place.run(workload_of(echo)))
            await asyncio.to_thread(by_hand, place, what)
            seen = only(await place.when(is_failed))
            assert cause in seen.cause
            assert (seen.retries, seen.address, seen.pid) == (False, "", None)
            again = only(await place.run(workload_of(echo)))
            assert again.pid != before.pid
            assert len(labelled(place)) == 1

    asyncio.run(case())


def test_one_whose_parent_dies_is_started_again_by_docker(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            before = only(await place.run(workload_of(echo)))
            assert before.pid
            os.kill(before.pid, signal.SIGKILL)
            after = only(await place.when(lambda seen: is_ready(seen) and seen[0].pid != before.pid))
            assert after.restarts == 1

    asyncio.run(case())


def test_a_paused_one_is_told_and_apply_lets_it_go_on(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            before = only(await place.run(workload_of(echo)))
            await asyncio.to_thread(by_hand, place, "pause")
            assert only(await place.when(is_failed)).cause == "its container is paused"
            await place.target().apply(workload_of(echo))
            assert only(await place.when(is_ready)).pid == before.pid

    asyncio.run(case())


def test_one_that_was_removed_by_hand_is_no_more_and_apply_makes_it_anew(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo))
            await asyncio.to_thread(by_hand, place, "remove", force=True)
            assert await place.target().observe() == ()
            await place.run(workload_of(echo))

    asyncio.run(case())


def test_one_whose_network_was_taken_away_is_made_anew(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo))
            await asyncio.to_thread(by_hand, place, "kill")
            client = docker_client(place.address)
            client.networks.list(names=[labelled(place, network=True)[0]])[0].remove()
            client.close()
            await place.run(workload_of(echo))

    asyncio.run(case())


def test_one_that_docker_cannot_start_says_why(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            await place.bring(echo)
            asked = workload_of(echo)
            grant = attrs.evolve(asked.replicas[0].grant, device_nodes=("/dev/no-such-device",))
            asked = attrs.evolve(asked, replicas=(attrs.evolve(asked.replicas[0], grant=grant),))
            with pytest.raises(SystemError_, match="no-such-device"):
                await place.target().apply(asked)
            seen = only(await place.when(is_failed))
            assert "no-such-device" in seen.cause

    asyncio.run(case())


# --- images ------------------------------------------------------------------------------------


def test_an_image_deleted_under_a_replica_harms_nothing_and_comes_again_with_the_next_start(
    place: Place, echo: ImageRef
):
    async def case() -> None:
        async with cleared(place):
            before = only(await place.run(workload_of(echo)))
            client = docker_client(place.address)
            client.images.remove(tag_of(echo), force=True)
            client.close()
            assert only(await place.target().observe()).pid == before.pid
            second = workload_of(echo, "digits-r1-abc124")
            with pytest.raises(SystemError_, match="is not in the Docker daemon"):
                await place.target().apply(second)
            await place.run(second)
            assert tag_of(echo) in images_of(place)

    asyncio.run(case())


def test_an_image_that_nobody_needs_goes_with_a_later_delete(place: Place, service_images: ServiceImages):
    async def case() -> None:
        async with cleared(place):
            old = await service_images.make({"score.py": ECHO + "\n# old\n"})
            new = await service_images.make({"score.py": ECHO + "\n# new\n"})
            await place.run(workload_of(old))
            await place.bring(new)
            await place.target().delete(REPLICA)
            assert {tag_of(old), tag_of(new)} <= set(images_of(place)), "both are young"
            _age(place, old)
            await place.run(workload_of(new))
            await place.target().delete(REPLICA)
            assert tag_of(old) not in images_of(place)
            assert tag_of(new) in images_of(place)

    asyncio.run(case())


def _age(place: Place, image: ImageRef) -> None:
    record = place.home.state / "docker" / "images" / f"{image.digest[7:]}.json"
    then = time.time() - NEW_SECONDS - 1
    os.utime(record, (then, then))


def test_a_code_change_sends_the_code_alone(place: Place, service_images: ServiceImages):
    async def case() -> None:
        async with cleared(place):
            first = await service_images.make({"score.py": ECHO})
            await place.bring(first)
            assert await place.bring(first) == []
            second = await service_images.make({"score.py": ECHO + "\n# changed\n"})
            assert "1 of 3 layers" in (await place.bring(second))[0]

    asyncio.run(case())


def test_many_that_want_one_image_bring_it_once(mortal: Place, service_images: ServiceImages):
    async def case() -> None:
        image = await service_images.make({"score.py": ECHO + "\n# many\n"})
        told = await asyncio.gather(*(mortal.bring(image) for _ in range(4)))
        assert [bool(lines) for lines in told].count(True) == 1

    asyncio.run(case())


class Slow(OciLayoutRegistry):
    """A registry that stops in the middle of a large blob."""

    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        sent = 0
        async for chunk in super().read_blob(repository, digest):
            sent += len(chunk)
            if sent > 20_000_000:
                await asyncio.sleep(1000)
            yield chunk


class Damaged(OciLayoutRegistry):
    """A registry that fails in the middle of a large blob."""

    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        sent = 0
        async for chunk in super().read_blob(repository, digest):
            sent += len(chunk)
            if sent > 20_000_000:
                raise Unavailable("the registry broke off", place="here", remedy="try again")
            yield chunk


@pytest.fixture
def empty(home: Any, service_images: ServiceImages) -> Iterator[Place]:
    """A place whose daemon has no image yet."""
    with own_daemon() as daemon:
        yield Place(home, daemon.address, service_images)


def test_a_bring_that_is_cancelled_or_fails_leaves_nothing_and_the_next_one_works(
    empty: Place, echo: ImageRef
):
    folder = empty.images.registry.root

    async def case() -> None:
        bringing = asyncio.create_task(empty.target().bring(echo, Slow(folder), on_line=lambda _line: None))
        await asyncio.sleep(2)
        bringing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(bringing, 10)
        with pytest.raises(Unavailable, match="the registry broke off"):
            await empty.target().bring(echo, Damaged(folder), on_line=lambda _line: None)
        assert images_of(empty) == []
        assert await empty.bring(echo)
        assert images_of(empty) == [tag_of(echo)]

    asyncio.run(case())


def test_a_full_disk_is_said_with_numbers_leaves_nothing_and_is_tried_again_once_there_is_room(
    home: Any, service_images: ServiceImages, echo: ImageRef, tmp_path: Path
):
    data = tmp_path / "data"
    data.mkdir()
    mount("-t", "tmpfs", "-o", "size=120m", "tmpfs", str(data))
    try:
        with own_daemon(data=data) as daemon:
            place = Place(home, daemon.address, service_images)
            with pytest.raises(SystemError_, match=f"disk is full.*MiB are free in {data}") as caught:
                asyncio.run(place.bring(echo))
            assert "docker system prune" in caught.value.remedy
            assert images_of(place) == []
            mount("-o", "remount,size=2g", str(data))
            asyncio.run(place.bring(echo))
            assert images_of(place) == [tag_of(echo)]
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(data)], check=False)


def mount(*words: str) -> None:
    subprocess.run(["/bin/mount", *words], check=True)


# --- the engine itself -------------------------------------------------------------------------


def die(place: Place, image: ImageRef, step: str) -> None:
    words = (str(place.home.state), place.address, str(place.images.registry.root), image.digest, step)
    argv = [sys.executable, "-m", "tests.integration.docker_target.mortal_engine", *words]
    done = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_killed_between_making_and_starting_the_next_apply_starts_what_was_made(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            await asyncio.to_thread(die, place, echo, "before-start")
            made = only_id(place)
            assert only(await place.target().observe()).phase is ReplicaPhase.STARTING
            await place.run(workload_of(echo))
            assert only_id(place) == made

    asyncio.run(case())


def only_id(place: Place) -> str:
    (one,) = labelled(place)
    return str(one["Id"])


def test_killed_while_loading_nothing_is_half_there_and_the_next_bring_works(empty: Place, echo: ImageRef):
    die(empty, echo, "while-loading")
    assert images_of(empty) == []
    asyncio.run(empty.bring(echo))
    assert images_of(empty) == [tag_of(echo)]


@pytest.mark.parametrize("step", ["after-rename", "after-sigterm"])
def test_killed_while_deleting_the_next_delete_goes_on(place: Place, echo: ImageRef, step: str):
    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo))
            await asyncio.to_thread(die, place, echo, step)
            (one,) = labelled(place)
            assert is_deleting(one["Name"])
            seen = only(await place.target().observe())
            assert seen.phase in (ReplicaPhase.DRAINING, ReplicaPhase.STOPPED)
            await place.target().apply(workload_of(echo))  # what is being removed is not started again
            assert len(labelled(place)) == 1
            await place.target().delete(REPLICA)
            assert labelled(place) == []
            assert [line async for line in place.target().logs(REPLICA, lines=5, follow=False)]

    asyncio.run(case())


def test_a_fresh_engine_adopts_everything(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            names = [f"digits-r1-abc{number}23" for number in range(3)]
            before = await place.run(workload_of(echo, *names))
            assert [(one.id, one.pid) for one in await place.target().observe()] == [
                (one.id, one.pid) for one in before
            ]
            await until(lambda: len(labelled(place)) == len(names))

    asyncio.run(case())
