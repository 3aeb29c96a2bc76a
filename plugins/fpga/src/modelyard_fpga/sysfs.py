"""Read FPGA cards out of sysfs: which PCI functions are FPGAs, and what drivers say of them.

A vendor's number alone says nothing: Intel makes host bridges too. A function counts when its class,
its bound driver or its device number does. Files that are missing or unreadable read as empty.
"""

from __future__ import annotations

from pathlib import Path

import attrs

PROCESSING_ACCELERATOR = "0x1200"
FPGA_DRIVERS = frozenset({"xocl", "xclmgmt", "dfl-pci", "qdma"})
KNOWN_DEVICES = frozenset(
    {
        ("0x8086", "0xbcce"),  # Open FPGA Stack, physical function
        ("0x8086", "0xbccf"),  # the same, virtual function
        ("0x8086", "0x09c4"),  # Arria 10 GX acceleration card
        ("0x8086", "0x0b2b"),  # D5005
        ("0x8086", "0x0b30"),  # N3000
    }
)
VENDORS = {"0x10ee": "AMD", "0x8086": "Intel", "0x1172": "Altera", "0x1d0f": "Amazon"}


@attrs.frozen
class Function:
    """One PCI function that is an FPGA; `nodes` are device files that a process needs to use it."""

    address: str
    vendor: str
    device: str
    driver: str = ""
    numa_node: int | None = None
    model: str = ""
    nodes: tuple[str, ...] = ()
    management_only: bool = False
    """XRT splits a card in two functions; this one manages and cannot compute."""
    attributes: dict[str, str] = attrs.field(factory=dict)

    @property
    def card(self) -> str:
        """The address without its function: the slot, which both halves of an XRT card share."""
        return self.address.rpartition(".")[0]


@attrs.frozen
class Manager:
    """One `fpga_manager` of the kernel; `address` is the PCI function it belongs to, empty on a SoC."""

    id: str
    name: str
    state: str
    status: str
    address: str


def read_functions(root: Path) -> tuple[Function, ...]:
    """List FPGA functions by address; `root` holds `sys` and `dev`."""
    folder = root / "sys/bus/pci/devices"
    return tuple(_read_function(one, root) for one in _children(folder) if _is_fpga(one))


def read_managers(root: Path) -> tuple[Manager, ...]:
    """List the kernel's FPGA managers by name."""
    return tuple(_read_manager(one) for one in _children(root / "sys/class/fpga_manager"))


def _is_fpga(folder: Path) -> bool:
    return (
        _text(folder / "class").startswith(PROCESSING_ACCELERATOR)
        or _driver(folder) in FPGA_DRIVERS
        or (_text(folder / "vendor"), _text(folder / "device")) in KNOWN_DEVICES
    )


def _read_function(folder: Path, root: Path) -> Function:
    vendor, device = _text(folder / "vendor"), _text(folder / "device")
    attributes = {**_xrt_attributes(folder), **_dfl_attributes(folder)}
    maker = VENDORS.get(vendor, vendor)
    return Function(
        address=folder.name,
        vendor=vendor,
        device=device,
        driver=_driver(folder),
        numa_node=_numa_node(folder),
        model=attributes.get("vbnv", f"{maker} FPGA {device.removeprefix('0x')}"),
        nodes=_nodes(folder, root),
        management_only=_is_management(folder),
        attributes={name: value for name, value in attributes.items() if value},
    )


def _xrt_attributes(folder: Path) -> dict[str, str]:
    return {
        name: value
        for name, pattern in (
            ("vbnv", "rom*/VBNV"),
            ("shell_timestamp", "rom*/timestamp"),
            ("serial", "xmc.u.*/serial_num"),
        )
        if (value := _first(folder, pattern))
    }


def _dfl_attributes(folder: Path) -> dict[str, str]:
    fme = "fpga_region/region*/dfl-fme.*"
    return {
        name: value
        for name, pattern in (
            ("bitstream_id", f"{fme}/bitstream_id"),
            ("bitstream_metadata", f"{fme}/bitstream_metadata"),
            ("ports", f"{fme}/ports_num"),
            ("interface_id", f"{fme}/dfl-fme-region.*/fpga_region/region*/compat_id"),
            ("afu_id", "fpga_region/region*/dfl-port.*/afu_id"),
        )
        if (value := _first(folder, pattern))
    }


def _nodes(folder: Path, root: Path) -> tuple[str, ...]:
    names = [f"dri/{one.name}" for one in sorted(folder.glob("drm/renderD*"))]
    names += [one.name for one in sorted(folder.glob("fpga_region/region*/dfl-port.*"))]
    if _driver(folder) == "xclmgmt":
        names += [one.name for one in sorted(folder.glob("*/xclmgmt*"))]
    return tuple(f"/dev/{name}" for name in names if (root / "dev" / name).exists())


def _is_management(folder: Path) -> bool:
    return _driver(folder) == "xclmgmt" or (folder / "mgmt_pf").exists()


def _read_manager(folder: Path) -> Manager:
    parent = (folder / "device").resolve() if (folder / "device").exists() else folder
    addresses = [part for part in (parent.name, *(one.name for one in parent.parents)) if _is_address(part)]
    return Manager(
        id=folder.name,
        name=_text(folder / "name"),
        state=_text(folder / "state"),
        status=_text(folder / "status"),
        address=addresses[0] if addresses else "",
    )


def _is_address(name: str) -> bool:
    # 0000:3b:00.0
    return name.count(":") == 2 and "." in name  # noqa: PLR2004  domain, bus and device


def _numa_node(folder: Path) -> int | None:
    text = _text(folder / "numa_node")
    return int(text) if text.isdecimal() else None  # the kernel says -1 for "none"


def _driver(folder: Path) -> str:
    link = folder / "driver"
    return link.resolve().name if link.exists() else ""


def _first(folder: Path, pattern: str) -> str:
    return next((text for file in sorted(folder.glob(pattern)) if (text := _text(file))), "")


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
