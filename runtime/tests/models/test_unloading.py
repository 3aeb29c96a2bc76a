"""Models that leave: by name, and when memory is short."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from coming_and_going import Models
from modelyard_runtime.scoring import TimedOut, looking
from modelyard_runtime.scoring.budget import Budget

from runtime.tests.behaviour.replicas import alive

BIG = {"mib": 60}


def test_unloading_ends_the_models_processes(many: Any):
    async def scenario(models: Models) -> Any:
        pid = await models.pid("b")
        reply = await models.move("unload", "b:2")
        return reply.status, reply.body, alive(pid), (await models.index())["b:2"]

    assert many(scenario) == (200, b"", False, ("UNAVAILABLE", "it was unloaded"))


def test_a_model_that_was_unloaded_is_loaded_again_when_it_is_asked_for(many: Any):
    async def scenario(models: Models) -> Any:
        pid = await models.pid("b")
        await models.move("unload", "b")
        return await models.pid("b") != pid

    assert many(scenario)


def test_unloading_without_a_version_unloads_all_of_them(many: Any):
    async def scenario(models: Models) -> Any:
        await asyncio.gather(models.pid("b:1"), models.pid("b:2"))
        await models.move("unload", "b")
        index = await models.index()
        return [index[one][0] for one in ("a:1", "b:1", "b:2")]

    assert many(scenario) == ["READY", "UNAVAILABLE", "UNAVAILABLE"]


def test_unloading_what_is_not_loaded_changes_nothing(many: Any):
    async def scenario(models: Models) -> Any:
        return [(await models.move("unload", "b")).status for _ in range(2)]

    assert many(scenario) == [200, 200]


def test_the_first_model_may_leave_too_and_the_replica_stays_ready(many: Any):
    async def scenario(models: Models) -> Any:
        await models.move("unload", "a")
        health = await models.client.ask("GET", "/")
        swagger = await models.client.ask("GET", "/swagger.json")
        return health.status, swagger.status, (await models.score()).json[:1]

    assert many(scenario) == (200, 200, ["a"])


def test_a_request_that_runs_is_answered_before_its_model_leaves(many: Any):
    async def scenario(models: Models) -> Any:
        pid = await models.pid("b")
        running = asyncio.create_task(models.score("b", {"sleep": 0.4}))
        await models.client.until(lambda: models.client.service.catalog.running == 1)
        leaving = asyncio.create_task(models.move("unload", "b"))
        await models.until("b:2", "UNLOADING")
        return (await running).status, (await leaving).status, alive(pid)

    assert many(scenario) == (200, 200, False)


def test_a_request_that_comes_while_its_model_leaves_waits_and_has_it_loaded_again(many: Any):
    async def scenario(models: Models) -> Any:
        running = asyncio.create_task(models.score("b", {"sleep": 0.3}))
        await models.client.until(lambda: models.client.service.catalog.running == 1)
        leaving = asyncio.create_task(models.move("unload", "b"))
        await models.until("b:2", "UNLOADING")
        late = await models.score("b")
        await leaving
        return late.status, late.json[2] != (await running).json[2]

    assert many(scenario) == (200, True)


def test_unloading_gives_up_a_load_that_is_under_way(many: Any):
    async def scenario(models: Models) -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await models.move("load", "b")
        await models.until("b:1", "LOADING")
        pids = models.client.service.catalog._places["b", "1"].pool.pids  # no other way to see them
        reply = await models.move("unload", "b")
        return reply.status, [alive(pid) for pid in pids], await models.index()

    status, running, index = many(scenario, {"a:1": {}, "b:1": {"slow": 60}})
    assert (status, running, index["b:1"]) == (200, [False], ("UNAVAILABLE", "it was unloaded"))


def test_a_load_and_an_unload_that_come_at_once_leave_a_model_that_can_be_loaded(many: Any):
    async def scenario(models: Models) -> Any:
        replies = await asyncio.gather(models.move("load", "b"), models.move("unload", "b"))
        return [reply.status for reply in replies], (await models.score("b")).json[:2]

    assert many(scenario) == ([200, 200], ["b", "2"])


def test_models_are_served_on_while_no_thread_can_be_had_to_look_at_their_memory(
    many: Any, monkeypatch: pytest.MonkeyPatch
):
    def no_thread(_pids: Any) -> Any:
        raise RuntimeError("can't start new thread")

    async def scenario(models: Models) -> Any:
        monkeypatch.setattr("modelyard_runtime.scoring.budget.in_memory", no_thread)
        served = (await models.score("b")).status
        monkeypatch.undo()
        await models.pid("c")
        await models.until("a:1", "UNAVAILABLE", "to make room")
        return served

    assert many(scenario, {"a:1": BIG, "b:1": {}, "c:1": BIG}, model_memory_bytes=140 << 20) == 200


def test_a_model_that_grows_near_the_budget_while_it_serves_is_seen_by_its_requests(
    many: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(looking, "LONGEST_S", 1000.0)  # neither the look that comes by itself
    monkeypatch.setattr(Budget, "loaded", lambda _self: None)  # nor the one after a load
    grown: dict[str, int] = {}

    def weighed(pids: Any) -> dict[Any, int]:
        return {key: grown.get(key[0], 40 << 20) for key in pids}

    async def scenario(models: Models) -> Any:
        monkeypatch.setattr("modelyard_runtime.scoring.budget.in_memory", weighed)
        await models.pid("b")
        grown["b"] = 70 << 20
        await models.pid("b")
        await models.until("a:1", "UNAVAILABLE", "to make room")
        return await models.state("b:1")

    assert many(scenario, {"a:1": {}, "b:1": {}}, model_memory_bytes=100 << 20) == "READY"


def test_past_the_budget_the_least_recently_used_model_leaves(many: Any):
    async def scenario(models: Models) -> Any:
        for name in ("b", "a", "c"):
            await models.pid(name)
        await models.until("b:1", "UNAVAILABLE")
        index = await models.index()
        return index["a:1"][0], index["b:1"][1], index["c:1"][0]

    three = {"a:1": BIG, "b:1": BIG, "c:1": BIG}
    assert many(scenario, three, model_memory_bytes=200 << 20) == ("READY", "to make room", "READY")


def test_a_model_that_was_loaded_before_finds_room_made_before_it_is_loaded_again(many: Any):
    async def scenario(models: Models) -> Any:
        await models.pid("b")
        await models.until("a:1", "UNAVAILABLE")
        pid = await models.pid("b")
        again = await models.pid("a")
        return alive(pid), alive(again)

    assert many(scenario, {"a:1": BIG, "b:1": BIG}, model_memory_bytes=110 << 20) == (False, True)


def test_a_busy_model_does_not_leave_and_who_needs_its_room_waits(many: Any):
    async def scenario(models: Models) -> Any:
        await models.pid("b")
        await models.until("a:1", "UNAVAILABLE")
        busy = asyncio.create_task(models.score("b", {"sleep": 0.6}))
        await models.client.until(lambda: models.client.service.catalog.running == 1)
        waiting = asyncio.create_task(models.score("a"))
        await models.until("a:1", "LOADING")
        await asyncio.sleep(0.2)
        before = busy.done(), waiting.done()
        return before, (await busy).status, (await waiting).status

    models = {"a:1": BIG, "b:1": BIG}
    assert many(scenario, models, model_memory_bytes=110 << 20) == ((False, False), 200, 200)


def test_a_load_that_finds_no_room_ends_when_nobody_waits_for_it_any_more(many: Any):
    async def scenario(models: Models) -> Any:
        await models.pid("b")
        await models.until("a:1", "UNAVAILABLE")
        busy = asyncio.create_task(models.score("b", {"sleep": 1}))
        catalog = models.client.service.catalog
        await models.client.until(lambda: catalog.running == 1)
        with pytest.raises(TimedOut):
            await catalog.find("a", "", time.monotonic() + 0.3)
        await models.until("a:1", "UNAVAILABLE", "no room")
        return busy.done(), (await busy).status

    models = {"a:1": BIG, "b:1": BIG}
    assert many(scenario, models, model_memory_bytes=110 << 20) == (False, 200)


def test_a_model_larger_than_the_budget_is_refused_with_both_sizes(many: Any):
    async def scenario(models: Models) -> Any:
        reply = await models.score("b")
        return reply.status, reply.json["message"], (await models.score("a")).status

    models = {"a:1": {}, "b:1": {"mib": 100}}
    status, message, other = many(scenario, models, model_memory_bytes=64 << 20)
    assert (status, other) == (503, 200)
    assert "MiB of memory, all models together may take 64 MiB" in message


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"parameters": {"config": "{}"}}, "parameters.config"),
        ({"parameters": []}, "parameters"),
        ({"repository_name": "other"}, "repository_name"),
    ],
)
def test_a_model_is_not_changed_by_who_loads_it(many: Any, body: Any, place: str):
    reply = many(lambda models: models.move("load", "b", body))
    assert (reply.status, reply.json["path"]) == (400, place)


def test_tritons_one_parameter_of_unloading_is_taken(many: Any):
    body = {"parameters": {"unload_dependents": False}}
    assert many(lambda models: models.move("unload", "b", body)).status == 200


def test_requests_for_more_models_than_fit_are_all_answered_each_by_its_own(many: Any):
    names = [f"m{number}" for number in range(4)]

    async def scenario(models: Models) -> Any:
        async def ask(name: str) -> tuple[str, int, str]:
            reply = await models.score(name, {"sleep": 0.01})
            return name, reply.status, reply.json[0] if reply.status == 200 else reply.body

        order = [name for turn in range(6) for name in (names if turn % 2 else reversed(names))]
        return await asyncio.gather(*(ask(name) for name in order))

    models = {f"{name}:1": BIG for name in names}
    answers = many(scenario, models, model_memory_bytes=180 << 20, max_queued=100, queue_wait_s=20)
    assert all(status == 200 and told == name for name, status, told in answers), answers


@pytest.mark.slow
def test_models_that_come_and_go_leave_no_descriptor_and_no_task_behind(many: Any):
    async def scenario(models: Models) -> Any:
        held = []
        for _ in range(4):
            for _ in range(5):
                await models.pid("b")
                await models.move("unload", "b")
            held.append((descriptors(), len(asyncio.all_tasks())))
        return held

    first, *later = many(scenario)
    assert later == [first] * 3


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
