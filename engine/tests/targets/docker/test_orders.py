"""What a workload makes of a container."""

from __future__ import annotations

import attrs
import pytest
from modelyard.api import DeviceGrant, EnvironmentSpec, ResourceSpec, UserError
from modelyard.containers import Bind, DeviceNode, Order
from modelyard.targets.docker.labels import GRANT, granted_of, identity_of
from modelyard.targets.docker.orders import Site, order_of
from modelyard_runtime.contract import START_VARIABLE, decode_contract

from .making import IDENTITY, REPLICA, workload

SITE = Site("0123456789", "sha256:1", {"/dev/xdma0": 44})


def ordered(grant: DeviceGrant | None = None, **spec: object) -> Order:
    asked = workload(grant=grant, **spec)
    return order_of(asked, asked.replicas[0], SITE)


def test_the_contract_comes_in_a_variable_and_names_paths_in_the_image():
    order = ordered()
    contract = decode_contract(order.environment[START_VARIABLE])
    assert (contract.replica, contract.run_dir, contract.log_dir) == (REPLICA, "/run/modelyard", "")
    assert (contract.host, contract.port, contract.status_port) == ("0.0.0.0", 8080, 8081)  # noqa: S104
    assert contract.sample == "/opt/modelyard/code/s.json"
    assert order.command == (
        "/opt/modelyard/env/bin/python",
        "-I",
        "-m",
        "modelyard_runtime.replica",
        "--from-environment",
    )
    assert order.health.command[-1] == "--health"


def test_labels_say_whose_it_is_and_what_was_set_apart():
    order = ordered(DeviceGrant(backend="gpu", device_ids=("GPU-1", "GPU-2")))
    assert identity_of(order.labels) == IDENTITY
    found = granted_of(order.labels)
    assert (found.device_ids, found.cpu_millicores, found.node) == (("GPU-1", "GPU-2"), 100, "here")


@pytest.mark.parametrize("label", ["", "{", "[]", '{"device_ids": 1}', "null"])
def test_a_damaged_label_sets_nothing_apart_and_hides_no_replica(label: str):
    labels = {**ordered().labels, GRANT: label}
    assert identity_of(labels) == IDENTITY
    assert granted_of(labels).memory_bytes == 0


@pytest.mark.parametrize("replica", ["", "../x", "digits-r1-abc123\n", "Digits-r1-abc123"])
def test_labels_of_others_are_no_replica(replica: str):
    assert identity_of({**ordered().labels, "dev.modelyard.replica": replica}) is None


def test_limits_and_shares_are_the_specs():
    resources = ResourceSpec(
        cpu_millicores=1500, memory_bytes=1 << 28, cpu_limit_millicores=2000, memory_limit_bytes=1 << 29
    )
    order = ordered(resources=resources)
    assert (order.cpu_millicores, order.cpu_limit_millicores) == (1500, 2000)
    assert (order.memory_bytes, order.memory_limit_bytes) == (1 << 28, 1 << 29)
    assert decode_contract(order.environment[START_VARIABLE]).memory_limit_bytes == 1 << 29


def test_it_may_take_its_drain_and_ten_seconds_to_stop():
    assert ordered().stop_seconds == 61 + 10


def test_a_replica_without_a_gpu_sees_none():
    assert ordered().environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_granted_gpu_is_asked_of_docker_and_named_to_the_container():
    request = {"Driver": "nvidia", "DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}
    grant = DeviceGrant(
        backend="gpu",
        device_ids=("GPU-1",),
        environment={"NVIDIA_VISIBLE_DEVICES": "GPU-1"},
        docker_device_requests=(request,),
    )
    order = ordered(grant)
    assert order.device_requests == (request,)
    assert order.environment["NVIDIA_VISIBLE_DEVICES"] == "GPU-1"
    assert decode_contract(order.environment[START_VARIABLE]).variables["NVIDIA_VISIBLE_DEVICES"] == "GPU-1"


def test_devices_named_by_cdi_are_asked_for_so_and_not_twice():
    grant = DeviceGrant(
        backend="gpu",
        cdi_names=("nvidia.com/gpu=0",),
        docker_device_requests=({"Driver": "nvidia", "DeviceIDs": ["0"]},),
    )
    assert ordered(grant).device_requests == ({"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]},)


def test_device_nodes_and_mounts_come_with_the_grant():
    grant = DeviceGrant(
        backend="fpga", device_nodes=("/dev/xdma0", "/dev/no"), mounts=("/opt/xrt", "/a:/b", "/c:/d:rw")
    )
    order = ordered(grant)
    assert order.devices == (DeviceNode("/dev/xdma0", 44), DeviceNode("/dev/no"))
    assert order.binds == (Bind("/opt/xrt", "/opt/xrt"), Bind("/a", "/b"), Bind("/c", "/d", read_only=False))


def test_a_contract_that_no_variable_holds_is_the_users_to_mend():
    with pytest.raises(UserError, match="start contract takes") as caught:
        ordered(environment=EnvironmentSpec(variables={"LONG": "x" * 140_000}))
    assert "shorter variables" in caught.value.remedy


def test_two_replicas_differ_in_name_labels_and_contract_alone():
    asked = workload()
    other = attrs.evolve(asked.replicas[0], id="digits-r1-abc124")
    one, two = ordered(), order_of(asked, other, SITE)
    same = {"name": "", "hostname": "", "labels": {}, "environment": {}}
    assert one != two
    assert attrs.evolve(one, **same) == attrs.evolve(two, **same)
