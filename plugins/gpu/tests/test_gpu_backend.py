"""What the gpu backend and its check tell of a machine, and what they grant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import (
    DeviceBackend,
    DeviceGrant,
    DeviceHealth,
    DeviceRequest,
    Refusal,
    Severity,
)
from modelyard.testing import CheckConformance, DeviceBackendConformance, PluginConformance
from modelyard_gpu import GpuBackend, GpuCheck
from modelyard_gpu.errors import ADVICE, Fault, NvmlFailed
from modelyard_gpu.readings import GpuReading, Reading, SliceReading

MIB = 1024 * 1024
NOTHING = frozenset[str]()


def hopper(index: int, *, node: int | None = None, **changes: Any) -> GpuReading:
    reading = GpuReading(
        index, f"GPU-{index}", "NVIDIA H100 80GB HBM3", memory_bytes=81559 * MIB, numa_node=node
    )
    return attrs.evolve(reading, **changes)


def turing(index: int) -> GpuReading:
    return GpuReading(index, f"GPU-t{index}", "Tesla T4", memory_bytes=15360 * MIB)


def sliced(index: int, *profiles: tuple[str, int]) -> GpuReading:
    slices = (
        SliceReading(f"MIG-{index}-{position}", f"NVIDIA H100 80GB HBM3 MIG {profile}", mib * MIB)
        for position, (profile, mib) in enumerate(profiles)
    )
    return hopper(index, mig=True, slices=tuple(slices))


def machine(*gpus: GpuReading) -> GpuBackend:
    return GpuBackend(read=lambda: Reading("580.95.05", "13.0", gpus))


def failing(fault: Fault) -> Callable[[], Reading]:
    def read() -> Reading:
        raise NvmlFailed(fault, "as NVML words it")

    return read


def granted(answer: DeviceGrant | Refusal) -> DeviceGrant:
    assert isinstance(answer, DeviceGrant), answer
    return answer


def refused(answer: DeviceGrant | Refusal) -> Refusal:
    assert isinstance(answer, Refusal), answer
    assert answer.remedy
    assert answer.numbers["asked_gpus"]
    return answer


def ask(count: int = 1, *, model: str = "", mib: int = 0) -> DeviceRequest:
    return DeviceRequest(kind="gpu", count=count, model=model, memory_bytes=mib * MIB)


class TestMixedMachine(DeviceBackendConformance):
    @pytest.fixture
    def backend(self) -> DeviceBackend:
        return machine(hopper(0), turing(1), hopper(2, fault="lost"), sliced(3, ("1g.10gb", 9856)))


class TestCpuMachine(DeviceBackendConformance):
    @pytest.fixture
    def backend(self) -> DeviceBackend:
        return GpuBackend(read=failing(Fault.LIBRARY_NOT_FOUND))


class TestMachineWithABrokenDriver(DeviceBackendConformance):
    @pytest.fixture
    def backend(self) -> DeviceBackend:
        return GpuBackend(read=failing(Fault.VERSION_MISMATCH))


class TestGpuCheck(CheckConformance):
    @pytest.fixture
    def check(self) -> GpuCheck:
        return GpuCheck(read=machine(hopper(0), hopper(1, fault="lost")).read)


class TestGpuPlugin(PluginConformance):
    @pytest.fixture
    def plugin_name(self) -> str:
        return "gpu"


def test_a_grant_names_its_gpus_by_uuid_for_every_target():
    grant = granted(machine(hopper(0), hopper(1)).request(ask(2), NOTHING))
    assert grant.device_ids == ("GPU-0", "GPU-1")
    assert grant.environment == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "GPU-0,GPU-1",
        "NVIDIA_VISIBLE_DEVICES": "GPU-0,GPU-1",
    }
    assert grant.docker_device_requests == (
        {"Driver": "nvidia", "DeviceIDs": ["GPU-0", "GPU-1"], "Capabilities": [["gpu"]]},
    )
    assert grant.extended_resources == {"nvidia.com/gpu": 2}


def test_the_smallest_gpu_that_suffices_is_taken():
    backend = machine(hopper(0), turing(1), sliced(2, ("3g.40gb", 40448), ("1g.10gb", 9856)))
    assert granted(backend.request(ask(), NOTHING)).device_ids == ("MIG-2-1",)
    assert granted(backend.request(ask(mib=10_000), NOTHING)).device_ids == ("GPU-t1",)
    assert granted(backend.request(ask(mib=20_000), NOTHING)).device_ids == ("MIG-2-0",)
    assert granted(backend.request(ask(mib=50_000), NOTHING)).device_ids == ("GPU-0",)


def test_several_gpus_are_of_one_model_and_one_numa_node_where_possible():
    backend = machine(turing(0), hopper(1, node=0), hopper(2, node=1), hopper(3, node=1))
    assert granted(backend.request(ask(2), NOTHING)).device_ids == ("GPU-2", "GPU-3")
    assert granted(backend.request(ask(3), NOTHING)).device_ids == ("GPU-1", "GPU-2", "GPU-3")
    assert len(granted(backend.request(ask(4), NOTHING)).device_ids) == 4


def test_a_slice_is_asked_of_kubernetes_by_its_profile():
    grant = granted(machine(sliced(0, ("1g.10gb+me", 9856))).request(ask(), NOTHING))
    assert grant.extended_resources == {"nvidia.com/mig-1g.10gb.me": 1}


def test_a_gpu_in_mig_mode_gives_its_slices_and_not_itself():
    devices = machine(sliced(0, ("3g.40gb", 40448), ("3g.40gb", 40448))).discover()
    assert [device.id for device in devices] == ["MIG-0-0", "MIG-0-1"]
    assert {device.attributes["parent"] for device in devices} == {"GPU-0"}


def test_a_model_is_found_by_any_part_of_its_name_in_any_case():
    backend = machine(hopper(0), turing(1))
    assert granted(backend.request(ask(model="t4"), NOTHING)).device_ids == ("GPU-t1",)
    assert granted(backend.request(ask(model="h100"), NOTHING)).device_ids == ("GPU-0",)


@pytest.mark.parametrize(
    ("gpus", "request_", "code", "word"),
    [
        ((), ask(), "gpu_short", "this machine has none"),
        ((turing(0),), ask(model="A100"), "gpu_model", "1 x Tesla T4"),
        ((turing(0),), ask(2), "gpu_short", "2 GPUs asked"),
        ((turing(0),), ask(mib=40_000), "gpu_memory", "15360 MiB"),
        ((hopper(0, uncorrected_errors=3),), ask(), "gpu_unhealthy", "3 uncorrected ECC errors"),
        ((hopper(0, mig=True),), ask(), "gpu_unhealthy", "no instance"),
        ((GpuReading(0, fault="the GPU is lost"),), ask(model="H100"), "gpu_unhealthy", "the GPU is lost"),
        ((GpuReading(0, fault="the GPU is lost"),), ask(mib=9), "gpu_unhealthy", "the GPU is lost"),
        ((sliced(0, ("3g.40gb", 40448), ("3g.40gb", 40448)),), ask(2), "gpu_slices", "one MIG slice"),
    ],
)
def test_a_refusal_blames_what_is_short(
    gpus: tuple[GpuReading, ...], request_: DeviceRequest, code: str, word: str
):
    answer = refused(machine(*gpus).request(request_, NOTHING))
    assert answer.code == code
    assert word in answer.message
    assert not answer.retryable


def test_gpus_in_use_are_told_apart_from_gpus_that_are_not_there():
    answer = refused(machine(hopper(0), hopper(1)).request(ask(2), frozenset({"GPU-0"})))
    assert answer.code == "gpu_busy"
    assert answer.retryable
    assert (answer.numbers["asked_gpus"], answer.numbers["free_gpus"]) == (2, 1)


def test_an_unhealthy_gpu_is_shown_and_hides_no_other():
    lost, ill, good = machine(
        GpuReading(0, fault="the GPU is lost"), hopper(1, uncorrected_errors=1), hopper(2)
    ).health()
    assert (lost.id, lost.health) == ("gpu-0", DeviceHealth.UNHEALTHY)
    assert (ill.id, ill.health) == ("GPU-1", DeviceHealth.UNHEALTHY)
    assert (good.id, good.health, good.reason) == ("GPU-2", DeviceHealth.HEALTHY, "")


GPUS = st.lists(
    st.builds(
        hopper,
        st.just(0),
        node=st.sampled_from([None, 0, 1]),
        memory_bytes=st.sampled_from([15360 * MIB, 81559 * MIB]),
        uncorrected_errors=st.sampled_from([0, 0, 0, 2]),
    ),
    max_size=6,
).map(lambda gpus: tuple(attrs.evolve(g, index=i, uuid=f"GPU-{i}") for i, g in enumerate(gpus)))


@given(gpus=GPUS, count=st.integers(1, 4), mib=st.sampled_from([0, 40_000]), data=st.data())
def test_a_grant_never_has_a_gpu_that_is_taken_ill_or_too_small(
    gpus: tuple[GpuReading, ...], count: int, mib: int, data: st.DataObject
):
    taken = frozenset(gpu.uuid for gpu in gpus if data.draw(st.booleans()))
    good = {
        g.uuid
        for g in gpus
        if g.uuid not in taken and not g.uncorrected_errors and g.memory_bytes >= mib * MIB
    }
    answer = machine(*gpus).request(ask(count, mib=mib), taken)
    if len(good) < count:
        refused(answer)
    else:
        assert len(set(granted(answer).device_ids) & good) == count == len(granted(answer).device_ids)


@pytest.mark.parametrize("fault", Fault)
def test_without_an_answering_driver_there_are_no_gpus_and_the_check_says_why(fault: Fault):
    assert GpuBackend(read=failing(fault)).discover() == ()
    (finding,) = GpuCheck(read=failing(fault)).run()
    assert finding.message.startswith(ADVICE[fault].message)
    assert finding.fix
    absent = fault is Fault.LIBRARY_NOT_FOUND
    assert finding.severity is (Severity.INFO if absent else Severity.ERROR)
    assert (refused(GpuBackend(read=failing(fault)).request(ask(), NOTHING)).code == "gpu_short") == absent


def test_every_fault_is_explained_in_its_own_words():
    assert len({advice.message for advice in ADVICE.values()}) == len(Fault)


def test_the_check_lists_the_driver_and_every_gpu():
    findings = GpuCheck(read=machine(hopper(0), hopper(1, fault="lost")).read).run()
    assert [(one.subject, one.severity) for one in findings] == [
        ("driver", Severity.OK),
        ("GPU-0", Severity.OK),
        ("GPU-1", Severity.WARNING),
    ]


def test_a_driver_without_a_gpu_is_no_error():
    (finding,) = GpuCheck(read=machine().read).run()
    assert finding.severity is Severity.INFO


WHOLE_PLUGIN = """
import json
from modelyard.api import DeviceRequest
from modelyard_gpu import plugin
(backend,), (check,) = plugin.offer_devices(), plugin.offer_checks()
print(json.dumps({
    "found": {one.id: one.health.value for one in backend.discover()},
    "granted": backend.request(DeviceRequest(kind="gpu", model="H100"), frozenset()).device_ids,
    "checked": {one.subject: one.severity.value for one in check.run()},
}))
"""


def test_the_whole_plugin_works_over_the_drivers_library(look: Any):
    seen = look(
        "gpu GPU-a 00000000:17:00.0 81559 9.0 NVIDIA H100 80GB HBM3\n"
        "gpu GPU-b 00000000:27:00.0 81559 9.0 NVIDIA H100 80GB HBM3\n"
        "gpu GPU-c 00000000:AF:00.0 15360 7.5 Tesla T4\n"
        "lost 0\n",
        code=WHOLE_PLUGIN,
    )
    assert seen == {
        "found": {"gpu-0": "unhealthy", "GPU-b": "healthy", "GPU-c": "healthy"},
        "granted": ["GPU-b"],
        "checked": {"driver": "ok", "gpu-0": "warning", "GPU-b": "ok", "GPU-c": "ok"},
    }


@pytest.mark.gpu
def test_a_real_gpu_is_found_healthy_and_granted():
    backend = GpuBackend()
    if not backend.discover():
        pytest.skip("needs a real NVIDIA GPU")
    assert granted(backend.request(ask(), NOTHING)).device_ids
