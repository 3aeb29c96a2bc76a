"""What the daemon is told of a container: hardened, whoever orders it."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from modelyard.containers import Bind, DeviceNode, Health, Order, Tmpfs
from modelyard.containers.orders import api_config

ORDER = Order(
    name="modelyard-x",
    hostname="x",
    image="sha256:1",
    command=("/python", "-I"),
    environment={"B": "2", "A": "1"},
    labels={"l": "v"},
    user="65532:65532",
    folder="/",
    network="modelyard-net",
    stop_seconds=71,
    health=Health(("/python", "--health"), 10.0, 5.0, 300.0, 3),
    tmpfs=(Tmpfs("/run/modelyard", 1024, "0700", 65532), Tmpfs("/scratch", 2048, "1777")),
    shared_memory_bytes=4096,
    processes=10,
    log_bytes=100,
    log_files=2,
)


def host(order: Order) -> dict[str, Any]:
    config: dict[str, Any] = api_config(order)["HostConfig"]
    return config


def test_nothing_is_writable_but_what_is_in_memory_and_no_right_is_left():
    config = host(ORDER)
    assert config["ReadonlyRootfs"] is True
    assert config["CapDrop"] == ["ALL"]
    assert config["SecurityOpt"] == ["no-new-privileges:true"]
    assert config["Privileged"] is False
    assert config["PidsLimit"] == 10
    assert config["Tmpfs"] == {
        "/run/modelyard": "rw,nosuid,nodev,size=1024,mode=0700,uid=65532,gid=65532",
        "/scratch": "rw,nosuid,nodev,size=2048,mode=1777",
    }
    assert api_config(ORDER)["User"] == "65532:65532"


def test_no_port_is_published():
    assert "PortBindings" not in host(ORDER)
    assert "ExposedPorts" not in api_config(ORDER)


def test_its_end_is_a_drain_and_docker_starts_it_again_unless_it_was_stopped():
    config = api_config(ORDER)
    assert (config["StopSignal"], config["StopTimeout"]) == ("SIGTERM", 71)
    assert config["HostConfig"]["RestartPolicy"] == {"Name": "unless-stopped"}


def test_the_images_own_command_is_replaced_whole():
    config = api_config(ORDER)
    assert (config["Entrypoint"], config["Cmd"]) == (["/python", "-I"], [])
    assert config["Env"] == ["A=1", "B=2"]


def test_the_log_is_bounded():
    assert host(ORDER)["LogConfig"] == {"Type": "local", "Config": {"max-size": "100", "max-file": "2"}}


def test_health_is_told_in_nanoseconds():
    health = api_config(ORDER)["Healthcheck"]
    assert health["Test"] == ["CMD", "/python", "--health"]
    assert (health["Interval"], health["Timeout"], health["StartPeriod"]) == (10**10, 5 * 10**9, 3 * 10**11)


def test_without_limits_none_is_set():
    config = host(ORDER)
    assert not {"Memory", "MemorySwap", "CpuQuota", "MemoryReservation"} & set(config)
    assert config["CpuShares"] == 2


@given(
    asked=st.integers(1, 10**12),
    limit=st.none() | st.integers(1, 10**12),
    cores=st.integers(1, 256_000),
    most=st.none() | st.integers(1, 256_000),
)
def test_limits_hold_together(asked: int, limit: int | None, cores: int, most: int | None):
    config = host(
        attrs.evolve(
            ORDER,
            memory_bytes=asked,
            memory_limit_bytes=limit,
            cpu_millicores=cores,
            cpu_limit_millicores=most,
        )
    )
    assert config["MemoryReservation"] <= (limit or asked)
    assert config.get("Memory") == config.get("MemorySwap") == limit
    assert config["CpuShares"] >= 2
    if most:
        assert config["CpuQuota"] >= 1000
        assert config["CpuQuota"] == max(most * 100, 1000)


def test_devices_come_with_the_groups_that_may_use_them():
    order = attrs.evolve(
        ORDER,
        devices=(DeviceNode("/dev/xdma0", 44), DeviceNode("/dev/xdma1", 44), DeviceNode("/dev/x")),
        binds=(Bind("/opt/xrt", "/opt/xrt"), Bind("/a", "/b", read_only=False)),
        device_requests=({"Driver": "nvidia", "DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]},),
    )
    config = host(order)
    assert config["GroupAdd"] == ["44"]
    assert [one["PathOnHost"] for one in config["Devices"]] == ["/dev/xdma0", "/dev/xdma1", "/dev/x"]
    assert [one["ReadOnly"] for one in config["Mounts"]] == [True, False]
    assert config["DeviceRequests"] == [
        {"Driver": "nvidia", "DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}
    ]
