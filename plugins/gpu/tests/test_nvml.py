"""The facade reads what the driver's library says, through the real nvidia-ml-py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from modelyard_gpu.nvml import numa_node

HOPPER = "gpu GPU-{n} 00000000:{n}7:00.0 81559 9.0 NVIDIA H100 80GB HBM3\n"
TURING = "gpu GPU-t4 00000000:AF:00.0 15360 7.5 Tesla T4\n"
TWO_HOPPERS = HOPPER.format(n=1) + HOPPER.format(n=2)
MIB = 1024 * 1024


def node_of(root: Path, address: str, node: int) -> None:
    (root / address).mkdir(parents=True)
    (root / address / "numa_node").write_text(f"{node}\n")


def test_gpus_are_read_with_uuid_name_memory_and_versions(look: Any):
    seen = look(f"driver 580.95.05\ncuda 13010\n{TWO_HOPPERS}{TURING}")
    assert (seen["driver"], seen["cuda"]) == ("580.95.05", "13.1")
    assert [gpu["uuid"] for gpu in seen["gpus"]] == ["GPU-1", "GPU-2", "GPU-t4"]
    assert seen["gpus"][0]["name"] == "NVIDIA H100 80GB HBM3"
    assert seen["gpus"][0]["memory_bytes"] == 81559 * MIB
    assert seen["gpus"][2]["compute_capability"] == "7.5"
    assert not any(gpu["fault"] for gpu in seen["gpus"])


def test_the_numa_node_is_that_of_the_pci_device(look: Any, tmp_path: Path):
    node_of(tmp_path, "0000:17:00.0", 1)
    node_of(tmp_path, "0000:27:00.0", -1)
    seen = look(TWO_HOPPERS, pci_devices=tmp_path)
    assert [gpu["numa_node"] for gpu in seen["gpus"]] == [1, None]


@pytest.mark.parametrize("bus_id", ["", "nonsense", "00000000:17:00.0"])
def test_a_numa_node_nobody_told_is_none(tmp_path: Path, bus_id: str):
    assert numa_node(tmp_path, bus_id) is None


def test_mig_slices_are_found_across_gaps(look: Any):
    seen = look(
        TWO_HOPPERS
        + "mig 1 0 MIG-a 40448 NVIDIA H100 80GB HBM3 MIG 3g.40gb\n"
        + "mig 1 4 MIG-b 9856 NVIDIA H100 80GB HBM3 MIG 1g.10gb\n"
    )
    assert [gpu["mig"] for gpu in seen["gpus"]] == [False, True]
    assert [one["uuid"] for one in seen["gpus"][1]["slices"]] == ["MIG-a", "MIG-b"]
    assert seen["gpus"][1]["slices"][1]["memory_bytes"] == 9856 * MIB


def test_a_lost_gpu_hides_no_other(look: Any):
    seen = look(f"{TWO_HOPPERS}{TURING}lost 0\n")
    lost, *others = seen["gpus"]
    assert "lost" in lost["fault"]
    assert lost["uuid"] == ""
    assert [gpu["uuid"] for gpu in others] == ["GPU-2", "GPU-t4"]
    assert not any(gpu["fault"] for gpu in others)


def test_a_gpu_lost_while_it_is_read_keeps_its_uuid(look: Any):
    dying, other = look(f"{TWO_HOPPERS}dying 0\n")["gpus"]
    assert (dying["uuid"], bool(dying["fault"])) == ("GPU-1", True)
    assert other["fault"] == ""


def test_uncorrected_errors_are_counted(look: Any):
    seen = look(f"{TWO_HOPPERS}ecc 1 3\n")
    assert [gpu["uncorrected_errors"] for gpu in seen["gpus"]] == [0, 3]


def test_a_driver_before_mig_and_ecc_counters_is_good_enough(look: Any):
    (gpu,) = look(TURING, "OLD_DRIVER")["gpus"]
    assert (gpu["uuid"], gpu["mig"], gpu["uncorrected_errors"], gpu["fault"]) == ("GPU-t4", False, 0, "")


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (9, "driver_not_loaded"),
        (18, "version_mismatch"),
        (13, "function_not_found"),
        (4, "no_permission"),
        (999, "other"),
    ],
)
def test_each_failure_to_start_has_its_own_fault(look: Any, code: int, fault: str):
    assert look(f"init_error {code}\n") == {"fault": fault}


def test_a_driver_without_the_start_function_is_too_old(look: Any):
    assert look(TURING, "ANCIENT_DRIVER") == {"fault": "function_not_found"}


def test_a_machine_without_the_library_says_so(look: Any, tmp_path: Path):
    # an empty file, found first, stands for the absent library even where a real one is installed
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"")
    assert look("", library=tmp_path) == {"fault": "library_not_found"}
