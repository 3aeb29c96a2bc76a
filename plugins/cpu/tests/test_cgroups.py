"""Limits are seen truly wherever they sit: v1, v2, mixed, nested, inside and outside of containers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_cpu.cgroups import CgroupLimits, Mount, levels, parse_mounts, read_limits, tightest

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)
MIB = 1024**2


def machine(root: Path, mountinfo: str, cgroup: str, files: dict[str, str]) -> CgroupLimits:
    texts = {"proc/self/mountinfo": mountinfo, "proc/self/cgroup": cgroup}
    texts.update({f"sys/fs/cgroup/{name}": text for name, text in files.items()})
    for name, text in texts.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return read_limits(root)


def test_a_machine_without_cgroups_has_no_limits(tmp_path: Path):
    assert read_limits(tmp_path) == CgroupLimits()


def test_a_v2_limit_of_the_own_group_is_seen(tmp_path: Path):
    files = {"app/cpu.max": "150000 100000\n", "app/memory.max": f"{512 * MIB}\n"}
    seen = machine(tmp_path, V2, "0::/app\n", files)
    assert seen == CgroupLimits(1500, 512 * MIB, ("v2",))


def test_a_v2_limit_of_an_ancestor_binds_too(tmp_path: Path):
    files = {
        "user.slice/cpu.max": "50000 100000\n",
        "user.slice/app/cpu.max": "max 100000\n",
        "user.slice/app/memory.max": "max\n",
        "user.slice/memory.max": f"{64 * MIB}\n",
    }
    seen = machine(tmp_path, V2, "0::/user.slice/app\n", files)
    assert (seen.cpu_millicores, seen.memory_bytes) == (500, 64 * MIB)


def test_max_is_no_limit(tmp_path: Path):
    files = {"app/cpu.max": "max 100000\n", "app/memory.max": "max\n"}
    assert machine(tmp_path, V2, "0::/app\n", files) == CgroupLimits(versions=("v2",))


def test_v1_limits_are_seen_in_each_controllers_own_group(tmp_path: Path):
    files = {
        "cpu,cpuacct/a/cpu.cfs_quota_us": "200000\n",
        "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
        "memory/b/memory.limit_in_bytes": f"{256 * MIB}\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    seen = machine(tmp_path, V1, "4:memory:/b\n1:cpu,cpuacct:/a\n0::/\n", files)
    assert seen == CgroupLimits(2000, 256 * MIB, ("v1",))


def test_v1_says_no_limit_as_minus_one_and_as_a_huge_number(tmp_path: Path):
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    assert machine(tmp_path, V1, "4:memory:/\n1:cpu,cpuacct:/\n", files) == CgroupLimits(versions=("v1",))


def test_in_a_mixed_hierarchy_the_tightest_limit_wins(tmp_path: Path):
    unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    files = {"memory/memory.limit_in_bytes": f"{256 * MIB}\n", "unified/app/memory.max": f"{128 * MIB}\n"}
    seen = machine(tmp_path, V1 + unified, "4:memory:/\n0::/app\n", files)
    assert (seen.memory_bytes, seen.versions) == (128 * MIB, ("v1", "v2"))


@pytest.mark.parametrize("group", ["/docker/abc", "/docker/abc/"])
def test_a_containers_own_mount_is_read_at_its_top(tmp_path: Path, group: str):
    mountinfo = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    files = {"memory/memory.limit_in_bytes": f"{256 * MIB}\n"}
    assert machine(tmp_path, mountinfo, f"4:memory:{group}\n", files).memory_bytes == 256 * MIB


@pytest.mark.parametrize("group", ["/../outside", "/somewhere/else"])
def test_a_group_outside_what_is_mounted_falls_back_to_the_mount(tmp_path: Path, group: str):
    mountinfo = "35 31 0:32 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    assert machine(tmp_path, mountinfo, f"0::{group}\n", {"cpu.max": "25000 100000"}).cpu_millicores == 250


def test_spaces_in_a_mount_point_are_unescaped():
    (mount,) = parse_mounts("1 1 0:1 / /sys/fs/my\\040cgroup rw - cgroup2 cgroup2 rw\n")
    assert mount.point == "/sys/fs/my cgroup"


@given(st.text())
def test_no_text_of_the_kernel_can_stop_the_reading(text: str):
    mounts = (
        *parse_mounts(text),
        Mount("/", "/sys", "v2"),
        Mount("/", "/sys", "v1", frozenset({"cpu", "memory"})),
    )
    tightest(mounts, {}, lambda _: text)


@given(
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=6),
    st.lists(st.none() | st.integers(1, 10**9), min_size=7, max_size=7),
)
def test_the_least_limit_of_all_levels_is_found(names: list[str], limits: list[int | None]):
    mount = Mount("/", "/cg", "v2")
    folders = list(levels(mount, "/" + "/".join(names)))
    at = {str(folder): limit for folder, limit in zip(folders, limits, strict=False)}

    def read(path: object) -> str:
        folder, _, name = str(path).rpartition("/")
        return str(at[folder] or "max") if name == "memory.max" else ""

    found = tightest([mount], {"": "/" + "/".join(names)}, read)
    assert found.memory_bytes == min((one for one in at.values() if one), default=None)
