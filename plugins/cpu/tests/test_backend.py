"""Cores and memory are granted to many, refused with numbers, and thread pools are told their size."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import Candidate, DeviceGrant, DeviceRequest, Refusal, ResourceSpec, Severity
from modelyard_cpu import CpuBackend, CpuCheck, MachineReader
from modelyard_cpu.placing import fraction_left, refuse

GIB = 1024**3
MIB = 1024**2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine of 8 GiB, with a group of 2.5 cores and 4 GiB."""
    texts = {
        "proc/meminfo": f"MemTotal:       {8 * GIB // 1024} kB\nMemFree: 1 kB\n",
        "proc/cpuinfo": "model name\t: Quick 9000\nflags\t\t: fpu avx sse4_2 avx2 avx512f_not\n",
        "proc/self/cgroup": "0::/app\n",
        "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/fs/cgroup/app/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/app/memory.max": f"{4 * GIB}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def backend(root: Path) -> CpuBackend:
    return CpuBackend(MachineReader(root, cores=lambda: 6))


def granted(backend: CpuBackend, **asked: int) -> DeviceGrant:
    answer = backend.request(DeviceRequest(**asked), frozenset())  # type: ignore[arg-type]  # integers only
    assert isinstance(answer, DeviceGrant)
    return answer


def refused(backend: CpuBackend, request: DeviceRequest) -> Refusal:
    answer = backend.request(request, frozenset())
    assert isinstance(answer, Refusal)
    return answer


def test_the_device_has_what_the_group_may_use_not_what_the_machine_has(backend: CpuBackend):
    (device,) = backend.discover()
    assert (device.id, device.kind, device.cores, device.memory_bytes) == ("cpu", "cpu", 2.5, 4 * GIB)
    assert device.model == "Quick 9000"
    assert device.attributes["simd"] == "sse4_2 avx avx2"
    assert device.attributes["cgroup_millicores"] == "2500"


def test_an_affinity_narrower_than_the_quota_wins(root: Path):
    (device,) = CpuBackend(MachineReader(root, cores=lambda: 1)).discover()
    assert device.cores == 1


def test_a_machine_without_proc_still_has_cores_and_memory(tmp_path: Path):
    (device,) = CpuBackend(MachineReader(tmp_path, cores=lambda: 2)).discover()
    assert device.cores == 2
    assert device.memory_bytes > 0


@pytest.mark.parametrize(
    ("asked", "threads"),
    [
        ({"cpu_millicores": 100}, "1"),
        ({"cpu_millicores": 1000}, "1"),
        ({"cpu_millicores": 1001}, "2"),
        ({"cpu_millicores": 100, "cpu_limit_millicores": 2500}, "3"),
    ],
)
def test_thread_pools_get_the_limit_else_what_was_asked(
    backend: CpuBackend, asked: dict[str, int], threads: str
):
    environment = granted(backend, **asked).environment
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    assert [environment[name] for name in names] == [threads] * 4


def test_a_replica_on_the_cpu_sees_no_gpu(backend: CpuBackend):
    environment = granted(backend).environment
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


def test_the_cpu_is_granted_though_it_is_in_use(backend: CpuBackend):
    assert isinstance(backend.request(DeviceRequest(), frozenset({"cpu"})), DeviceGrant)


def test_more_cores_than_there_are_is_refused_with_both_numbers(backend: CpuBackend):
    answer = refused(backend, DeviceRequest(cpu_millicores=2501))
    assert answer.code == "cpu_short"
    assert dict(answer.numbers) == {"asked_millicores": 2501, "free_millicores": 2500}


def test_more_memory_than_there_is_is_refused_with_both_numbers(backend: CpuBackend):
    answer = refused(backend, DeviceRequest(ram_bytes=5 * GIB))
    assert answer.code == "memory_short"
    assert dict(answer.numbers) == {"asked_mib": 5 * 1024, "free_mib": 4 * 1024}


@pytest.mark.parametrize(
    ("request_", "code"),
    [(DeviceRequest(count=2), "cpu_count"), (DeviceRequest(model="Slow"), "cpu_model")],
)
def test_what_no_cpu_can_be_is_refused(backend: CpuBackend, request_: DeviceRequest, code: str):
    assert refused(backend, request_).code == code


def test_a_part_of_the_models_name_is_enough(backend: CpuBackend):
    assert isinstance(backend.request(DeviceRequest(model="quick"), frozenset()), DeviceGrant)


def test_the_check_tells_cores_memory_and_limits(root: Path):
    cores, memory, limits = CpuCheck(MachineReader(root, cores=lambda: 6)).run()
    assert cores.message == "2.5 usable of 6 cores (sse4_2 avx avx2)"
    assert memory.message == "4096 MiB usable of 8192 MiB"
    assert limits.message == "cgroup v2: CPU 2500m, memory 4096 MiB"
    assert {cores.severity, memory.severity} == {Severity.OK}


def test_the_check_warns_of_a_group_too_small_to_serve(root: Path):
    (root / "sys/fs/cgroup/app/cpu.max").write_text("50000 100000")
    (root / "sys/fs/cgroup/app/memory.max").write_text(str(256 * MIB))
    cores, memory, _ = CpuCheck(MachineReader(root, cores=lambda: 6)).run()
    assert {cores.severity, memory.severity} == {Severity.WARNING}
    assert cores.fix
    assert memory.fix


amounts = st.integers(0, 10**12)
places = st.builds(Candidate, node=st.just("n"), free_millicores=amounts, free_memory_bytes=amounts)
wishes = st.builds(ResourceSpec, cpu_millicores=amounts, memory_bytes=amounts)


@given(wishes, places)
def test_a_place_is_refused_exactly_when_something_is_short(asked: ResourceSpec, place: Candidate):
    fits = place.free_millicores >= asked.cpu_millicores and place.free_memory_bytes >= asked.memory_bytes
    assert (refuse(asked, place) is None) == fits


@given(wishes, places)
def test_a_score_lies_between_zero_and_one(asked: ResourceSpec, place: Candidate):
    assert 0 <= fraction_left(asked, place) <= 1


@given(wishes, places, amounts)
def test_a_place_with_more_room_scores_no_lower(asked: ResourceSpec, place: Candidate, more: int):
    wider = Candidate("w", place.free_millicores + more, place.free_memory_bytes + more)
    assert fraction_left(asked, wider) >= fraction_left(asked, place)


def test_a_refusal_of_a_place_names_the_place():
    answer = refuse(ResourceSpec(cpu_millicores=500), Candidate("node-7", 499, GIB))
    assert answer is not None
    assert answer.message == "node-7: 499m CPU free, 500m asked"
    assert answer.remedy
