"""Models that are loaded when they are asked for, and by name."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest
from coming_and_going import Models


def test_the_first_model_is_loaded_at_the_start_and_the_others_are_not(many: Any):
    index = many(Models.index)
    assert index["a:1"] == ("READY", "")
    assert index["b:1"] == index["b:2"] == ("UNAVAILABLE", "it is loaded when it is asked for")


def test_who_names_no_model_asks_the_first(many: Any):
    assert many(Models.score).json[:2] == ["a", "1"]


def test_a_request_by_name_and_version_has_that_model_loaded(many: Any):
    async def scenario(models: Models) -> Any:
        reply = await models.score("b:1")
        return reply.json[:2], await models.state("b:1")

    assert many(scenario) == (["b", "1"], "READY")


def test_a_name_alone_means_the_highest_version(many: Any):
    models: dict[str, Any] = {"a:1": {}, "b:10": {}, "b:9": {}}
    assert many(lambda one: one.score("b"), models).json[:2] == ["b", "10"]


def test_requests_that_wait_for_one_model_load_it_once(many: Any):
    async def scenario(models: Models) -> Any:
        return await asyncio.gather(*(models.pid("b") for _ in range(5)))

    assert len(set(many(scenario))) == 1


def test_different_models_are_loaded_side_by_side(many: Any):
    async def scenario(models: Models) -> Any:
        return await asyncio.gather(models.pid("b"), models.pid("c"), models.pid("a"))

    slow = {"slow": 0.3}
    assert len(set(many(scenario, {"a:1": {}, "b:1": slow, "c:1": slow}))) == 3


def test_a_model_or_version_there_is_not_is_not_found(many: Any):
    async def scenario(models: Models) -> Any:
        return [await models.score("x"), await models.score("b:7"), await models.move("load", "x")]

    replies = many(scenario)
    assert [reply.status for reply in replies] == [404, 404, 404]
    assert "no model is called 'x'; there are a, b" in replies[0].json["message"]
    assert "no version '7'; there are 1, 2" in replies[1].json["message"]


def test_asking_whether_a_model_is_ready_does_not_load_it(many: Any):
    async def scenario(models: Models) -> Any:
        asked = [await models.client.ask("GET", f"/v2/models/{name}/ready") for name in ("a", "b")]
        return [reply.status for reply in asked], await models.state("b:2")

    assert many(scenario) == ([200, 503], "UNAVAILABLE")


def test_loading_by_name_makes_it_ready_and_again_changes_nothing(many: Any):
    async def scenario(models: Models) -> Any:
        first = await models.move("load", "b:1")
        pid = await models.pid("b:1")
        again = await models.move("load", "b:1")
        return [first.status, again.status], first.body, pid == await models.pid("b:1")

    assert many(scenario) == ([200, 200], b"", True)


def test_a_model_is_loading_until_its_init_has_finished(many: Any):
    async def scenario(models: Models) -> Any:
        loading = asyncio.create_task(models.move("load", "b"))
        await models.until("b:1", "LOADING")
        await loading
        return await models.state("b:1")

    assert many(scenario, {"a:1": {}, "b:1": {"slow": 0.3}}) == "READY"


def test_a_request_whose_time_ends_while_its_model_is_loading_is_told_so_and_the_loading_goes_on(many: Any):
    async def scenario(models: Models) -> Any:
        reply = await models.score("b")
        await models.until("b:1", "READY")
        return reply

    reply = many(scenario, {"a:1": {}, "b:1": {"slow": 1.0}}, timeout_s=0.4)
    assert reply.status == 504
    assert "model 'b' version 1 was loading" in reply.json["message"]


def test_a_model_that_cannot_be_loaded_answers_its_cause_and_leaves_the_others_alone(many: Any):
    async def scenario(models: Models) -> Any:
        reply = await models.score("b")
        return reply, await models.index(), (await models.score("a")).status

    reply, index, other = many(scenario, {"a:1": {}, "b:1": {"breaks": "no weights"}})
    assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (503, "ModelFailed", "1")
    assert "no weights" in reply.json["message"]
    assert index["b:1"][0] == "UNAVAILABLE"
    assert "no weights" in index["b:1"][1]
    assert other == 200


def test_a_worker_that_dies_while_it_loads_fails_its_model_alone(many: Any):
    async def scenario(models: Models) -> Any:
        return (await models.score("b")).json["message"], (await models.score("a")).status

    message, other = many(scenario, {"a:1": {}, "b:1": {"dies": 7}})
    assert "exit status 7" in message
    assert other == 200


def test_a_model_that_failed_is_left_alone_for_a_while_and_then_tried_again(many: Any):
    async def scenario(models: Models) -> Any:
        first = await models.score("b")
        models.write("b:1")
        early = await models.score("b")
        await asyncio.sleep(1.1)
        return [first.status, early.status, (await models.score("b")).status]

    broken = {"a:1": {}, "b:1": {"breaks": "no weights"}}
    assert many(scenario, broken, backoff_initial_s=1, backoff_max_s=1) == [503, 503, 200]


def test_a_model_that_the_machine_has_no_room_to_start_answers_its_cause_and_is_tried_again(
    many: Any, monkeypatch: pytest.MonkeyPatch
):
    def no_thread(_folder: Any) -> Any:
        raise RuntimeError("can't start new thread")

    async def scenario(models: Models) -> Any:
        with monkeypatch.context() as faulty:
            faulty.setattr("modelyard_runtime.scoring.on_demand.in_files", no_thread)
            first = await models.score("b")
        await asyncio.sleep(0.3)
        return first.status, first.json["message"], (await models.score("b")).status

    status, message, again = many(scenario, model_memory_bytes=1 << 30)
    assert (status, again) == (503, 200)
    assert "can't start new thread" in message


def test_loading_by_name_tries_at_once_what_has_just_failed(many: Any):
    async def scenario(models: Models) -> Any:
        first = await models.move("load", "b")
        models.write("b:1")
        return [first.status, (await models.move("load", "b")).status]

    broken = {"a:1": {}, "b:1": {"breaks": "no weights"}}
    assert many(scenario, broken, backoff_initial_s=60, backoff_max_s=60) == [503, 200]


def test_a_worker_that_dies_is_replaced_and_the_other_models_do_not_notice(many: Any):
    async def scenario(models: Models) -> Any:
        other, pid = await models.pid("a"), await models.pid("b")
        os.kill(pid, signal.SIGKILL)
        await models.until("b:2", "UNAVAILABLE")
        same = await models.pid("a") == other
        await models.until("b:2", "READY")
        return same, await models.pid("b") != pid, models.client.service.ready

    assert many(scenario) == (True, True, True)


def test_a_first_model_that_cannot_be_loaded_fails_the_replica(many: Any):
    async def scenario(models: Models) -> Any:
        return models.client.service.failed, (await models.client.ask("GET", "/")).status

    failed, health = many(scenario, {"a:1": {"breaks": "no weights"}, "b:1": {}})
    assert "no weights" in failed
    assert health == 503


def test_a_request_that_waits_for_its_model_is_answered_while_the_replica_drains(many: Any):
    async def scenario(models: Models) -> Any:
        waiting = asyncio.create_task(models.score("b"))
        await models.until("b:1", "LOADING")
        await models.client.service.drain()
        return (await waiting).status, (await models.score("b")).status

    assert many(scenario, {"a:1": {}, "b:1": {"slow": 0.3}}) == (200, 503)


def test_the_end_does_not_wait_for_models_that_are_loading(many: Any):
    async def scenario(models: Models) -> Any:
        waiting = asyncio.create_task(models.score("b"))
        await models.until("b:1", "LOADING")
        await models.client.service.close()
        return (await waiting).status

    assert many(scenario, {"a:1": {}, "b:1": {"slow": 60}}) == 503


def test_requests_of_all_models_are_counted_together(many: Any):
    async def scenario(models: Models) -> Any:
        go = models.folder / "go"
        asked = [asyncio.create_task(models.score(name, {"until": str(go)})) for name in ("a", "b")]
        await models.client.until(lambda: models.client.service.catalog.running == 2)
        running = models.client.service.status()["running"]
        go.touch()
        return running, [(await one).status for one in asked]

    assert many(scenario) == (2, [200, 200])
