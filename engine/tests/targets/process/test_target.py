"""The process target: idempotent, adopting, and never fooled by what a crash left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import (
    BatchingSpec,
    DeviceGrant,
    EnvironmentSpec,
    GrpcSpec,
    ModelRef,
    MultiModelSpec,
    NotFound,
    Replica,
    ReplicaPhase,
    ResourceSpec,
    UserError,
    Workload,
)
from modelyard.processes import Home, ProcessRef, alive, find_process, signal_process
from modelyard.targets import ProcessTarget
from modelyard.targets.capacity import Capacity, machine_capacity
from modelyard.targets.process.folders import ReplicaFolder
from modelyard_runtime.contract import read_contract

REPLICA = "digits-r1-abc123"


def behaving(workload: Workload, how: str, **environment: str) -> Workload:
    variables = {"BEHAVE": how, "COLOUR": "blue", "OMP_NUM_THREADS": "64"}
    spec = attrs.evolve(workload.spec, environment=EnvironmentSpec(variables=variables))
    plan = attrs.evolve(workload.replicas[0], grant=DeviceGrant(backend="cpu", environment=environment))
    return attrs.evolve(workload, spec=spec, replicas=(plan,))


async def seen_when(target: ProcessTarget, good: Callable[[Replica], bool]) -> Replica:
    async with asyncio.timeout(15):
        while True:
            replicas = await target.observe()
            if replicas and good(replicas[0]):
                return replicas[0]
            await asyncio.sleep(0.01)


def phase_is(phase: ReplicaPhase) -> Callable[[Replica], bool]:
    return lambda replica: replica.phase is phase


async def started(target: ProcessTarget, workload: Workload) -> Replica:
    await target.apply(workload)
    return await seen_when(target, phase_is(ReplicaPhase.READY))


def folder_of(home: Home) -> ReplicaFolder:
    return ReplicaFolder(home.replicas / REPLICA)


def test_the_contract_says_what_the_spec_and_the_grant_say(
    home: Home, target: ProcessTarget, workload: Workload
):
    asked = behaving(workload, "", OMP_NUM_THREADS="2")
    resources = ResourceSpec(memory_limit_bytes=1 << 28)
    asked = attrs.evolve(asked, model_dir="/models", spec=attrs.evolve(asked.spec, resources=resources))
    asyncio.run(started(target, asked))
    contract = read_contract(folder_of(home).contract_file)
    assert contract.variables == {"BEHAVE": "", "COLOUR": "blue", "OMP_NUM_THREADS": "2"}
    assert contract.sample == f"{workload.code_dir}/sample.json"
    assert (contract.model_dir, contract.memory_limit_bytes) == ("/models", 1 << 28)
    assert (contract.max_queued, contract.drain_timeout_s) == (10, 60.5)


def test_the_contract_says_where_the_script_runs_and_which_models_it_answers_for(
    home: Home, target: ProcessTarget, workload: Workload
):
    spec = attrs.evolve(
        workload.spec,
        models=(ModelRef("digits", "/home/me/digits.joblib", "3"),),
        isolation="process",
        workers=2,
        batching=BatchingSpec(max_size=8, max_wait_seconds=0.01),
        compat="strict-v1",
        cors=("https://a.example",),
        grpc=GrpcSpec(compression=True, max_compression_ratio=7),
        multi_model=MultiModelSpec(enabled=True, memory_bytes=2**31),
    )
    # any environment with a bin/python does: the stand-in starts no worker
    own = workload.environment
    asked = attrs.evolve(workload, spec=spec, app_root="/trees/x", worker_environment=own)
    asyncio.run(started(target, asked))
    contract = read_contract(folder_of(home).contract_file)
    (entry,) = contract.models
    assert (entry.name, entry.version, entry.path) == ("digits", "3", "/trees/x/azureml-models/digits/3")
    assert (contract.app_root, contract.multi_model, contract.model_memory_bytes) == ("/trees/x", True, 2**31)
    assert (contract.isolation, contract.worker_python) == ("process", f"{own}/bin/python")
    assert (contract.workers, contract.batching.max_size, contract.batching.max_wait_s) == (2, 8, 0.01)
    assert (contract.compat, contract.cors_origins) == ("strict-v1", ("https://a.example",))
    assert (contract.compression, contract.max_compression_ratio) == (True, 7)


def test_without_an_environment_of_its_own_a_script_runs_in_a_thread(
    home: Home, target: ProcessTarget, workload: Workload
):
    asyncio.run(started(target, workload))
    contract = read_contract(folder_of(home).contract_file)
    assert (contract.isolation, contract.worker_python, contract.models) == ("thread", "", ())


def test_a_lost_environment_of_the_script_is_named(target: ProcessTarget, workload: Workload):
    with pytest.raises(UserError) as caught:
        asyncio.run(target.apply(attrs.evolve(workload, worker_environment="/no/such/environment")))
    assert caught.value.place == "/no/such/environment"


def test_folders_and_logs_are_private(home: Home, target: ProcessTarget, workload: Workload):
    asyncio.run(started(target, workload))
    for folder in (home.replicas / REPLICA, home.logs / "replicas" / REPLICA):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_parent_sees_nothing_of_the_engines_environment(home: Home, workload: Workload):
    target = ProcessTarget(home, environ={"PATH": os.environ["PATH"], "SECRET_TOKEN": "hidden"})
    pid = asyncio.run(started(target, workload)).pid
    assert b"SECRET_TOKEN" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_dead_parent_is_failed_with_its_last_words(target: ProcessTarget, workload: Workload):
    async def case() -> Replica:
        await target.apply(behaving(workload, "die"))
        return await seen_when(target, phase_is(ReplicaPhase.FAILED))

    seen = asyncio.run(case())
    assert seen.cause == "replica parent died: the stand-in gave up"
    assert REPLICA in seen.remedy
    assert seen.pid is None


def test_a_killed_parent_is_started_again_by_apply(home: Home, target: ProcessTarget, workload: Workload):
    async def case() -> tuple[Replica, Replica, Replica]:
        first = await started(target, workload)
        parent = folder_of(home).recorded_parent()
        assert parent is not None
        signal_process(parent, signal.SIGKILL)
        dead = await seen_when(target, phase_is(ReplicaPhase.FAILED))
        return first, dead, await started(target, workload)

    first, dead, second = asyncio.run(case())
    assert dead.cause == "replica parent died"
    assert first.pid != second.pid


def test_a_folder_that_was_never_started_is_failed_and_healed_by_apply(
    home: Home, target: ProcessTarget, workload: Workload
):
    (home.replicas / REPLICA).mkdir(mode=0o700)
    seen = asyncio.run(target.observe())
    assert [(one.phase, one.service, one.revision) for one in seen] == [(ReplicaPhase.FAILED, "digits", 1)]
    assert asyncio.run(started(target, workload)).phase is ReplicaPhase.READY


def test_a_parent_that_nobody_wrote_down_is_found_and_not_started_twice(
    home: Home, target: ProcessTarget, workload: Workload
):
    async def case() -> tuple[Replica, ProcessRef | None]:
        first = await started(target, workload)
        (home.replicas / REPLICA / "parent.json").unlink()
        (home.replicas / REPLICA / "state.json").unlink()
        await target.apply(workload)
        return first, find_process(str(folder_of(home).contract_file))

    first, found = asyncio.run(case())
    assert found is not None
    assert found.pid == first.pid
    assert folder_of(home).living_parent() == found


@pytest.mark.parametrize("name", ["start.json", "state.json", "parent.json", "grant.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 99}'])
def test_damaged_files_are_tolerated(
    home: Home, target: ProcessTarget, workload: Workload, name: str, content: bytes
):
    asyncio.run(started(target, workload))
    (home.replicas / REPLICA / name).write_bytes(content)
    [seen] = asyncio.run(target.observe())
    assert seen.id == REPLICA
    assert (seen.phase is ReplicaPhase.FAILED) == (name == "start.json")


def test_foreign_entries_are_not_replicas(home: Home, target: ProcessTarget):
    (home.replicas / "lost+found").mkdir()
    (home.replicas / "digits-r1-abc124").touch()
    assert asyncio.run(target.observe()) == ()


@pytest.mark.parametrize(("how", "count"), [("", 0), ("busy", 1), ("mute", 1)])
def test_in_flight_is_what_the_replica_says_and_never_zero_when_it_is_silent(
    target: ProcessTarget, workload: Workload, how: str, count: int
):
    assert asyncio.run(started(target, behaving(workload, how))).in_flight == count


def test_draining_tells_the_parent_and_keeps_the_address(target: ProcessTarget, workload: Workload):
    async def case() -> Replica:
        await started(target, workload)
        await target.drain(REPLICA)
        return await seen_when(target, phase_is(ReplicaPhase.DRAINING))

    assert asyncio.run(case()).address.endswith("http.sock")


def test_draining_or_deleting_what_is_absent_is_fine(target: ProcessTarget):
    asyncio.run(target.drain(REPLICA))
    asyncio.run(target.delete(REPLICA))


def test_deleting_ends_a_parent_that_does_not_listen(
    home: Home, target: ProcessTarget, workload: Workload, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("modelyard.targets.process.target._STOP_SECONDS", 0.1)
    request = attrs.evolve(workload.spec.request, timeout_seconds=0.1, queue_wait_seconds=0.0)
    deaf = behaving(workload, "deaf")
    deaf = attrs.evolve(deaf, spec=attrs.evolve(deaf.spec, request=request))

    async def case() -> ProcessRef:
        await started(target, deaf)
        parent = folder_of(home).recorded_parent()
        assert parent is not None
        await target.delete(REPLICA)
        return parent

    assert not alive(asyncio.run(case()))
    assert not (home.replicas / REPLICA).exists()
    assert (home.logs / "replicas" / REPLICA / "replica.log").exists()


def test_what_is_being_deleted_is_never_started_again(home: Home, target: ProcessTarget, workload: Workload):
    async def case() -> Replica:
        await started(target, workload)
        parent = folder_of(home).recorded_parent()
        assert parent is not None
        folder_of(home).mark_deleting()
        signal_process(parent, signal.SIGKILL)
        await seen_when(target, phase_is(ReplicaPhase.STOPPED))
        await target.apply(workload)
        return (await target.observe())[0]

    assert asyncio.run(case()).phase is ReplicaPhase.STOPPED


@pytest.mark.parametrize("name", ["../../etc", "digits", "digits-r1-abc123/x", "", "digits-r1-ABC123"])
def test_an_id_that_is_none_touches_nothing(target: ProcessTarget, name: str):
    calls: list[Any] = [target.drain(name), target.delete(name)]
    for call in calls:
        with pytest.raises(UserError, match="is not a replica id"):
            asyncio.run(call)


def test_an_environment_without_python_is_refused(target: ProcessTarget, workload: Workload):
    with pytest.raises(UserError, match="no bin/python"):
        asyncio.run(target.apply(attrs.evolve(workload, environment="/nowhere")))


def test_what_needs_an_image_is_refused_with_a_remedy(target: ProcessTarget, workload: Workload):
    environment = EnvironmentSpec(base="debian", conda={"name": "x"}, docker_steps=("RUN true",))
    found = target.refuse(attrs.evolve(workload.spec, environment=environment))
    assert {one.code for one in found} == {
        "conda_unsupported",
        "docker_steps_unsupported",
        "base_unsupported",
    }
    assert all(one.remedy for one in found)


def test_candidates_lose_what_replicas_were_asked_for(home: Home, workload: Workload):
    target = ProcessTarget(home, capacity=Capacity(millicores=2000, memory_bytes=4 << 30))
    asyncio.run(started(target, workload))
    [free] = asyncio.run(target.candidates())
    assert (free.free_millicores, free.free_memory_bytes) == (1900, (4 << 30) - (512 << 20))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "50000 100000", "memory.max": "1048576"}, (500, 1 << 20)),
        ({"cpu/cpu.cfs_quota_us": "20000", "cpu/cpu.cfs_period_us": "100000"}, (200, None)),
        ({"cpu.max": "max 100000", "memory.max": "max"}, (None, None)),
    ],
)
def test_capacity_keeps_within_the_cgroup(
    tmp_path: Path, files: dict[str, str], expected: tuple[int | None, int | None]
):
    unlimited = machine_capacity(tmp_path)
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    limited = machine_capacity(tmp_path)
    assert limited.millicores == (expected[0] or unlimited.millicores)
    assert limited.memory_bytes == (expected[1] or unlimited.memory_bytes)


def test_the_log_of_an_unknown_replica_is_not_found(target: ProcessTarget):
    async def case() -> list[str]:
        return [line async for line in target.logs(REPLICA, lines=5, follow=False)]

    with pytest.raises(NotFound):
        asyncio.run(case())


def test_following_ends_once_the_replica_is_gone(target: ProcessTarget, workload: Workload):
    async def case() -> list[str]:
        await started(target, workload)
        lines = []
        async for line in target.logs(REPLICA, lines=2, follow=True):
            lines.append(line)
            if len(lines) == 2:
                await target.delete(REPLICA)
        return lines

    assert asyncio.run(case()) == ["line 8", "line 9"]
