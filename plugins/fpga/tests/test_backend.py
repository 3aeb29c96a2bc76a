"""Cards are found by what they are, judged by what the kernel and tools say, and granted whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelyard.api import Device, DeviceGrant, DeviceHealth, DeviceRequest, Refusal, Severity
from modelyard_fpga import FpgaBackend, FpgaCheck
from modelyard_fpga.tools import ToolReport

VBNV = "xilinx_u250_gen3x16_xdma_shell_3_1"
USER = "0000:3b:00.1"
MANAGEMENT = "0000:3b:00.0"


class Machine:
    """A sysfs and a dev folder to be filled."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str = "") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def add(self, address: str, driver: str = "", **facts: str) -> str:
        folder = f"sys/bus/pci/devices/{address}"
        plain = {"vendor": "0x10ee", "device": "0x5005", "class": "0x120000", "numa_node": "-1"}
        for name, text in {**plain, **facts}.items():
            self.write(f"{folder}/{name}", text)
        if driver:
            (self.root / "sys/bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
            (self.root / folder / "driver").symlink_to(self.root / "sys/bus/pci/drivers" / driver)
        return folder

    def add_xrt(self) -> None:
        management = self.add(MANAGEMENT, "xclmgmt")
        self.write(f"{management}/mgmt_pf", "1")
        self.write(f"{management}/xrt_mgmt/xclmgmt15104")
        user = self.add(USER, "xocl", numa_node="1")
        self.write(f"{user}/rom.u.1/VBNV", VBNV)
        self.write(f"{user}/rom.u.1/timestamp", "0")
        self.write(f"{user}/xmc.u.2/serial_num", "21290594G00LA")
        self.write(f"{user}/drm/renderD128")
        self.write("dev/dri/renderD128")
        self.write("dev/xclmgmt15104")

    def add_dfl(self, address: str, number: int, state: str = "operating", status: str = "") -> None:
        folder = self.add(address, "dfl-pci", vendor="0x8086", device="0xbcce", numa_node="0")
        fme = f"{folder}/fpga_region/region{number}/dfl-fme.{number}"
        self.write(f"{fme}/bitstream_id", "0x50102029dda3f6b")
        self.write(f"{fme}/ports_num", "1")
        self.write(
            f"{fme}/dfl-fme-region.2/fpga_region/region9/compat_id", "69528db6eb31577a8c3668f9faa081f6"
        )
        port = f"{folder}/fpga_region/region{number}/dfl-port.{number}"
        self.write(f"{port}/afu_id", "d8424dc4a4a3c413f89e433683f9040b")
        self.write(f"dev/dfl-port.{number}")
        self.add_manager(f"fpga{number}", state, status, folder)

    def add_manager(self, name: str, state: str, status: str = "", folder: str = "") -> None:
        self.write(f"sys/class/fpga_manager/{name}/name", "Zynq FPGA Manager")
        self.write(f"sys/class/fpga_manager/{name}/state", state)
        self.write(f"sys/class/fpga_manager/{name}/status", status)
        if folder:
            (self.root / f"sys/class/fpga_manager/{name}/device").symlink_to(self.root / folder)

    def backend(self, *reports: ToolReport) -> FpgaBackend:
        return FpgaBackend(self.root, tools=lambda: reports)

    def only(self, *reports: ToolReport) -> Device:
        (device,) = self.backend(*reports).discover()
        return device


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_without_a_pci_bus_has_no_cards(machine: Machine):
    assert machine.backend().discover() == ()


def test_an_intel_host_bridge_is_no_fpga(machine: Machine):
    machine.add("0000:00:00.0", vendor="0x8086", device="0x0d57", **{"class": "0x060000"})
    assert machine.backend().discover() == ()


@pytest.mark.parametrize("driver", ["xocl", "xclmgmt", "dfl-pci", "qdma"])
def test_a_bound_fpga_driver_makes_a_card(machine: Machine, driver: str):
    machine.add("0000:3b:00.0", driver, device="0x9999", **{"class": "0x020000"})
    assert machine.only().id == "fpga-0000:3b:00.0"


def test_a_known_device_number_makes_a_card(machine: Machine):
    machine.add("0000:3b:00.0", vendor="0x8086", device="0x0b30", **{"class": "0x020000"})
    assert machine.only().model == "Intel FPGA 0b30"


def test_the_class_of_processing_accelerators_makes_a_card(machine: Machine):
    machine.add("0000:3b:00.0", vendor="0x1d0f", device="0xf010")
    assert machine.only().model == "Amazon FPGA f010"


def test_the_two_functions_of_an_xrt_card_are_one_device(machine: Machine):
    machine.add_xrt()
    device = machine.only()
    assert (device.id, device.model, device.numa_node) == (f"fpga-{USER}", VBNV, 1)
    assert device.attributes["serial"] == "21290594G00LA"


def test_an_xrt_grant_has_both_device_files_and_the_resource(machine: Machine):
    machine.add_xrt()
    grant = machine.backend().request(DeviceRequest(kind="fpga", model="U250"), frozenset())
    assert isinstance(grant, DeviceGrant)
    assert grant.device_nodes == ("/dev/dri/renderD128", "/dev/xclmgmt15104")
    assert dict(grant.extended_resources) == {f"amd.com/{VBNV}-0": 1}
    assert grant.environment["MODELYARD_FPGA_DEVICES"] == USER


def test_a_missing_management_function_is_normal_in_a_virtual_machine(machine: Machine):
    folder = machine.add(USER, "xocl")
    machine.write(f"{folder}/drm/renderD129")
    machine.write("dev/dri/renderD129")
    grant = machine.backend().request(DeviceRequest(kind="fpga"), frozenset())
    assert isinstance(grant, DeviceGrant)
    assert grant.device_nodes == ("/dev/dri/renderD129",)


def test_a_management_function_alone_is_unhealthy(machine: Machine):
    machine.add(MANAGEMENT, "xclmgmt")
    assert "user function is missing" in machine.only().reason


def test_a_dfl_card_tells_its_region_and_port(machine: Machine):
    machine.add_dfl("0000:b1:00.0", 0)
    device = machine.only()
    assert (device.health, device.reason) == (DeviceHealth.HEALTHY, "")
    assert device.attributes["afu_id"] == "d8424dc4a4a3c413f89e433683f9040b"
    grant = machine.backend().request(DeviceRequest(kind="fpga"), frozenset())
    assert isinstance(grant, DeviceGrant)
    assert grant.device_nodes == ("/dev/dfl-port.0",)
    assert list(grant.extended_resources) == ["fpga.intel.com/region-69528db6eb31577a8c3668f9faa081f6"]


@pytest.mark.parametrize(
    ("state", "health"),
    [
        ("operating", DeviceHealth.HEALTHY),
        ("unknown", DeviceHealth.UNKNOWN),
        ("power off", DeviceHealth.UNHEALTHY),
        ("reset", DeviceHealth.UNHEALTHY),
        ("firmware request error", DeviceHealth.UNHEALTHY),
        ("write complete error", DeviceHealth.UNHEALTHY),
    ],
)
def test_the_kernels_word_decides_a_cards_health(machine: Machine, state: str, health: DeviceHealth):
    machine.add_dfl("0000:b1:00.0", 0, state)
    device = machine.only()
    assert device.health is health
    assert bool(device.reason) == (health is not DeviceHealth.HEALTHY)


def test_the_kernels_status_is_part_of_the_reason(machine: Machine):
    machine.add_dfl("0000:b1:00.0", 0, "write error", "reconfig CRC error")
    assert "reconfig CRC error" in machine.only().reason


def test_a_card_without_a_driver_is_unhealthy(machine: Machine):
    machine.add("0000:3b:00.0")
    device = machine.only()
    assert (device.health, device.reason) == (DeviceHealth.UNHEALTHY, "no driver is bound to it")


def test_a_card_whose_device_file_is_missing_is_unhealthy(machine: Machine):
    machine.add_dfl("0000:b1:00.0", 0)
    (machine.root / "dev/dfl-port.0").unlink()
    assert "no device file" in machine.only().reason


def test_a_card_that_a_tool_calls_not_ready_is_unhealthy(machine: Machine):
    machine.add_xrt()
    device = machine.only(ToolReport("xrt-smi", {USER: {"ready": "false"}}))
    assert (device.health, device.reason) == (DeviceHealth.UNHEALTHY, "XRT says that it is not ready")


def test_a_card_that_nobody_judges_is_unknown_and_may_be_granted(machine: Machine):
    machine.add_xrt()
    assert machine.only().health is DeviceHealth.UNKNOWN
    assert isinstance(machine.backend().request(DeviceRequest(kind="fpga"), frozenset()), DeviceGrant)


def test_a_manager_of_a_board_without_pci_is_a_device(machine: Machine):
    machine.add_manager("fpga0", "operating")
    device = machine.only()
    assert (device.id, device.model, device.health) == (
        "fpga-fpga0",
        "Zynq FPGA Manager",
        DeviceHealth.HEALTHY,
    )


def test_a_bad_card_does_not_hide_a_good_one(machine: Machine):
    machine.add_dfl("0000:b1:00.0", 0, "write error")
    machine.add_dfl("0000:b2:00.0", 1)
    grant = machine.backend().request(DeviceRequest(kind="fpga"), frozenset())
    assert isinstance(grant, DeviceGrant)
    assert grant.device_ids == ("fpga-0000:b2:00.0",)


def test_two_cards_are_granted_together(machine: Machine):
    machine.add_dfl("0000:b1:00.0", 0)
    machine.add_dfl("0000:b2:00.0", 1)
    grant = machine.backend().request(DeviceRequest(kind="fpga", count=2), frozenset())
    assert isinstance(grant, DeviceGrant)
    assert grant.device_nodes == ("/dev/dfl-port.0", "/dev/dfl-port.1")
    assert list(grant.extended_resources.values()) == [2]


def test_a_refusal_counts_what_was_found_usable_and_free(machine: Machine):
    machine.add_dfl("0000:b1:00.0", 0, "write error")
    machine.add_dfl("0000:b2:00.0", 1)
    answer = machine.backend().request(DeviceRequest(kind="fpga"), frozenset({"fpga-0000:b2:00.0"}))
    assert isinstance(answer, Refusal)
    assert dict(answer.numbers) == {"asked": 1, "found": 2, "usable": 1, "free": 0}
    assert answer.retryable


def test_card_memory_cannot_be_asked_for(machine: Machine):
    machine.add_dfl("0000:b1:00.0", 0)
    answer = machine.backend().request(DeviceRequest(kind="fpga", memory_bytes=1), frozenset())
    assert isinstance(answer, Refusal)
    assert answer.code == "fpga_memory_unknown"


def test_tools_are_not_started_on_a_machine_without_cards(tmp_path: Path):
    def started() -> tuple[ToolReport, ...]:
        pytest.fail("a tool was started")

    assert FpgaBackend(tmp_path, tools=started).discover() == ()


def test_finding_none_is_news_and_no_fault(tmp_path: Path):
    (finding,) = FpgaCheck(tmp_path, tools=tuple).run()
    assert (finding.severity, finding.message) == (Severity.INFO, "no FPGA found")


def test_the_check_tells_a_bad_card_and_a_failing_tool_with_a_fix(machine: Machine):
    machine.add_dfl("0000:b1:00.0", 0, "write error")
    report = ToolReport("fpgainfo", problem="it ended with status 1")
    card, tool = FpgaCheck(machine.root, tools=lambda: (report,)).run()
    assert {card.severity, tool.severity} == {Severity.WARNING}
    assert card.fix
    assert "status 1" in tool.message


def test_the_check_tells_a_good_card_and_that_tools_are_missing(machine: Machine):
    machine.add_dfl("0000:b1:00.0", 0)
    card, tools = FpgaCheck(machine.root, tools=tuple).run()
    assert card.severity is Severity.OK
    assert tools.subject == "tools"
