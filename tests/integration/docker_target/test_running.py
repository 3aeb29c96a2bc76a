"""Replicas as containers: what they may do, who they are, what is told of them, and what stays when they go."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import httpx
import pytest
from modelyard.api import READABLE_LAYERS, Conflict, ImageRef, ReplicaPhase, ResourceSpec, UserError
from modelyard.containers import Daemon
from modelyard.targets.docker.bringing import tag_of
from modelyard.targets.docker.labels import GRANT, container_name, network_name

from tests.testbed.docker_daemon import docker_client
from tests.testbed.service_image import ServiceImages

from .conftest import REPLICA, Place, asked, by_hand, cleared, labelled, new_home, only, until, workload_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LOOKER = """
import json, os, resource, socket

def tried(what):
    try:
        return what() or "done"
    except OSError as error:
        return type(error).__name__

def init():
    pass

def run(data):
    return {
        "uid": os.getuid(),
        "root": tried(lambda: open("/opt/written", "w").close()),
        "code": tried(lambda: open("/opt/modelyard/code/written", "w").close()),
        "tmp": tried(lambda: open("/tmp/written", "w").close()),
        "rights": [line for line in open("/proc/self/status") if line.startswith(("CapEff", "NoNew", "Seccomp:"))],
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "neighbour": tried(lambda: socket.create_connection((json.loads(data)["neighbour"], 8081), 1).close()),
        "gpus": os.environ.get("NVIDIA_VISIBLE_DEVICES", "none named"),
        "start": os.environ.get("MODELYARD_START", "not handed on"),
    }
"""
HUNGRY = "def init():\n    pass\n\ndef run(data):\n    return len(bytearray(int(data)) * 2)\n"


def test_the_place_says_which_layers_its_docker_reads(place: Place):
    (here,) = asyncio.run(place.target().candidates())
    with contextlib.closing(docker_client(place.address)) as client:
        major = int(client.version()["Version"].partition(".")[0])
    assert here.labels[READABLE_LAYERS] == ("gzip zstd" if major >= 23 else "gzip")


def test_a_replica_may_write_nothing_reach_no_neighbour_and_has_no_rights(
    place: Place, service_images: ServiceImages
):
    other = "digits-r1-abc124"

    async def case() -> None:
        async with cleared(place):
            image = await service_images.make({"score.py": LOOKER}, name="looker")
            one, two = await place.run(workload_of(image, REPLICA, other))
            neighbour = two.address.partition(":")[0]
            told = (await asked(one.address, json.dumps({"neighbour": neighbour}))).json()
            assert told["uid"] == 65532
            assert (told["root"], told["code"], told["tmp"]) == ("OSError", "OSError", "done")
            assert told["neighbour"] in ("TimeoutError", "ConnectionRefusedError")
            assert [line.split()[1] for line in told["rights"]] == ["0" * 16, "1", "2"]
            assert told["core"] == 0
            # the host, where the router runs, reaches both
            assert (await asked(two.address, json.dumps({"neighbour": "127.0.0.1"}))).status_code == 200

    asyncio.run(case())


def test_everything_is_labelled_and_goes_with_the_last_replica(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo, REPLICA, "digits-r1-abc124"))
            name = place.target()._belonging.name()
            shown = {one["Config"]["Labels"]["dev.modelyard.replica"]: one for one in labelled(place)}
            assert set(shown) == {REPLICA, "digits-r1-abc124"}
            assert shown[REPLICA]["Name"] == f"/{container_name(name, REPLICA)}"
            assert json.loads(shown[REPLICA]["Config"]["Labels"][GRANT])["cpu_millicores"] == 100
            assert not shown[REPLICA]["NetworkSettings"]["Ports"]
            assert labelled(place, network=True) == [network_name(name)]
            await place.target().delete(REPLICA)
            assert labelled(place, network=True) == [network_name(name)]
            await place.target().delete("digits-r1-abc124")
            assert labelled(place, network=True) == []
            assert labelled(place) == []
            assert not place.target()._belonging.in_use

    asyncio.run(case())


def test_a_container_that_somebody_put_on_the_network_keeps_it_and_no_delete_fails(
    place: Place, echo: ImageRef
):
    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo))
            (network,) = labelled(place, network=True)
            client = docker_client(place.address)
            guest = client.containers.run(
                tag_of(echo), ["-c", "import time; time.sleep(600)"], network=network, detach=True
            )
            await place.target().delete(REPLICA)
            assert labelled(place, network=True) == [network]
            guest.remove(force=True)
            await place.run(workload_of(echo))
            await place.target().delete(REPLICA)
            assert labelled(place, network=True) == []
            client.close()

    asyncio.run(case())


def test_ten_that_apply_at_once_make_one_replica(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            await place.bring(echo)
            asked_for = workload_of(echo)
            await asyncio.gather(*(place.target().apply(asked_for) for _ in range(10)))
            await place.run(asked_for)
            assert len(labelled(place)) == 1

    asyncio.run(case())


def test_a_name_that_somebody_else_has_is_a_conflict_and_theirs_is_left_alone(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            await place.bring(echo)
            name = container_name(place.target()._belonging.claim(), REPLICA)
            client = docker_client(place.address)
            theirs = client.containers.create(client.images.list()[0].id, ["true"], name=name)
            try:
                with pytest.raises(Conflict, match="another container has the name"):
                    await place.target().apply(workload_of(echo))
                theirs.reload()
            finally:
                theirs.remove()
                client.close()

    asyncio.run(case())


def test_two_engines_on_one_daemon_do_not_see_each_other(place: Place, echo: ImageRef):
    other = Place(new_home(), place.address, place.images)

    async def case() -> None:
        async with cleared(place, other):
            mine = only(await place.run(workload_of(echo)))
            theirs = only(await other.run(workload_of(echo)))  # the very same id
            assert mine.address != theirs.address
            await other.target().delete(REPLICA)
            assert only(await place.target().observe()).pid == mine.pid
            assert await other.target().observe() == ()

    asyncio.run(case())


def test_a_replica_over_its_memory_limit_is_killed_and_says_so(place: Place, service_images: ServiceImages):
    resources = ResourceSpec(memory_bytes=256 << 20, memory_limit_bytes=256 << 20)

    async def case() -> None:
        async with cleared(place):
            image = await service_images.make({"score.py": HUNGRY}, name="hungry")
            ready = only(await place.run(workload_of(image, resources=resources)))
            assert (await asked(ready.address, "1000")).status_code == 200
            with pytest.raises(httpx.HTTPError):
                (await asked(ready.address, str(600 << 20))).raise_for_status()
            await place.when(lambda seen: bool(seen) and "memory limit" in seen[0].cause)
            again = only(await place.when(lambda seen: seen[0].phase is ReplicaPhase.READY))
            assert again.restarts == 1
            assert (await asked(again.address, "1000")).status_code == 200

    asyncio.run(case())


def test_what_replicas_were_asked_for_is_taken_off_the_machine(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            before = only_candidate(await place.target().candidates())
            await place.run(workload_of(echo))
            after = only_candidate(await place.target().candidates())
            assert before.free_millicores - after.free_millicores == 100
            assert before.free_memory_bytes - after.free_memory_bytes == 512 << 20

    asyncio.run(case())


def only_candidate(found: tuple[Any, ...]) -> Any:
    (one,) = found
    return one


def test_the_log_is_followed_over_a_restart_until_the_replica_goes_and_kept_then(
    place: Place, echo: ImageRef
):
    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo))
            lines: list[str] = []

            async def read() -> None:
                async for line in place.target().logs(REPLICA, lines=100, follow=True):
                    lines.append(line)  # noqa: PERF401  whoever waits below looks at what has come

            reading = asyncio.create_task(read())
            await until(lambda: "modelyard-replica: ready" in lines)
            await asyncio.to_thread(by_hand, place, "restart")
            await until(lambda: lines.count("modelyard-replica: ready") == 2)
            await place.target().delete(REPLICA)
            await asyncio.wait_for(reading, 20)
            assert lines.count("modelyard-replica: stopped") == 2
            kept = [line async for line in place.target().logs(REPLICA, lines=1000, follow=True)]
            assert kept == lines
            assert [line async for line in place.target().logs(REPLICA, lines=2, follow=False)] == lines[-2:]

    asyncio.run(case())


def test_who_follows_from_now_on_is_told_nothing_older_after_a_restart(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo))
            reading = place.target().logs(REPLICA, lines=0, follow=True)
            first = asyncio.ensure_future(anext(reading))
            await asyncio.sleep(1)
            assert not first.done()
            await asyncio.to_thread(by_hand, place, "restart")
            lines = [await first]
            while lines[-1] != "modelyard-replica: ready":
                lines.append(await anext(reading))
            assert "ready" not in " ".join(lines[:-1])
            assert lines[0] == "modelyard-replica: draining"
            await reading.aclose()  # type: ignore[attr-defined]

    asyncio.run(case())


def test_a_reader_who_goes_away_leaves_nothing_behind(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo))
            reading = place.target().logs(REPLICA, lines=1, follow=True)
            assert await anext(reading)
            await asyncio.wait_for(reading.aclose(), 10)  # type: ignore[attr-defined]

    asyncio.run(case())


def test_health_is_asked_as_often_as_the_spec_says(place: Place, echo: ImageRef):
    async def case() -> None:
        async with cleared(place):
            spec = workload_of(echo).spec
            probes = type(spec.probes)(period_seconds=1.0)
            await place.run(workload_of(echo, probes=probes))
            await until(lambda: labelled(place)[0]["State"]["Health"]["Status"] == "healthy")

    asyncio.run(case())


@pytest.mark.parametrize("name", ["../x", "x y", "-x"])
def test_hostile_names_touch_nothing(place: Place, name: str):
    with pytest.raises(UserError, match="is not a replica id"):
        asyncio.run(place.target().delete(name))


def test_a_look_asks_the_daemon_once_and_looks_into_no_container_for_nothing(place: Place, echo: ImageRef):
    names = [f"digits-r1-abc{number:03}" for number in range(4)]

    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo, *names))
            target, daemon = place.target(), Daemon(place.address)
            calls: list[str] = []
            asking = daemon.call

            async def counted(what: str, *arguments: Any, **more: Any) -> Any:
                calls.append(what)
                return await asking(what, *arguments, **more)

            daemon.call = counted  # type: ignore[method-assign]
            target._watcher._daemon = daemon
            for _ in range(5):
                assert len(await target.observe()) == len(names)
            assert calls.count("list its containers") == 5
            assert calls.count("look into a container") == len(names)

    asyncio.run(case())
