"""The fpga plugin keeps every promise of what it offers, with cards and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelyard.testing import CheckConformance, DeviceBackendConformance, PluginConformance
from modelyard_fpga import FpgaBackend, FpgaCheck


def add_card(root: Path, address: str, *, driver: str, state: str = "") -> None:
    card = root / "sys/bus/pci/devices" / address
    card.mkdir(parents=True)
    for name, text in {"vendor": "0x8086", "device": "0xbcce", "class": "0x120000", "numa_node": "0"}.items():
        (card / name).write_text(f"{text}\n")
    drivers = root / "sys/bus/pci/drivers" / driver
    drivers.mkdir(parents=True, exist_ok=True)
    (card / "driver").symlink_to(drivers)
    number = address[-4:-2]
    (card / f"fpga_region/region{number}/dfl-port.{number}").mkdir(parents=True)
    (root / "dev").mkdir(exist_ok=True)
    (root / f"dev/dfl-port.{number}").touch()
    manager = root / f"sys/class/fpga_manager/fpga{number}"
    manager.mkdir(parents=True)
    (manager / "state").write_text(f"{state}\n")
    (manager / "device").symlink_to(card)


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    add_card(tmp_path, "0000:3b:00.0", driver="dfl-pci", state="operating")
    add_card(tmp_path, "0000:5e:01.0", driver="dfl-pci", state="write error")
    return tmp_path


class TestBackendWithCards(DeviceBackendConformance):
    @pytest.fixture
    def backend(self, cards: Path) -> FpgaBackend:
        return FpgaBackend(cards, tools=tuple)


class TestBackendWithoutCards(DeviceBackendConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> FpgaBackend:
        return FpgaBackend(tmp_path, tools=tuple)


class TestBackendOfThisMachine(DeviceBackendConformance):
    @pytest.fixture
    def backend(self) -> FpgaBackend:
        return FpgaBackend()


class TestCheckWithCards(CheckConformance):
    @pytest.fixture
    def check(self, cards: Path) -> FpgaCheck:
        return FpgaCheck(cards, tools=tuple)


class TestCheckOfThisMachine(CheckConformance):
    @pytest.fixture
    def check(self) -> FpgaCheck:
        return FpgaCheck()


class TestPlugin(PluginConformance):
    @pytest.fixture
    def plugin_name(self) -> str:
        return "fpga"
