"""A lock's pins as values: name, version, hashes. Pure."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import attrs
from packaging.markers import InvalidMarker, Marker
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, canonicalize_name
from packaging.utils import parse_sdist_filename as parse_sdist
from packaging.utils import parse_wheel_filename as parse_wheel

from modelyard.api import BasePython
from modelyard.environments.locks import parse_pins


@attrs.frozen
class Pin:
    """One package of a lock. `version` is empty where an address is pinned whose file name tells none."""

    name: str
    version: str
    hashes: tuple[str, ...]
    """`sha256:<hex>`, one for each file that the lock allows."""
    marker: str = ""

    def is_for(self, python: BasePython) -> bool:
        """Say whether this package is installed for a Python; one whose marker nobody understands is."""
        return applies(self.marker, python)


def read_pins(lock: str) -> tuple[Pin, ...]:
    """Read every pin of a lock, by name. Raises `LockDamaged`."""
    return tuple(_pin(written, hashes) for written, hashes in sorted(parse_pins(lock).items()))


def applies(marker: str, python: BasePython) -> bool:
    """Evaluate an environment marker for a Python, no extra asked for, whatever machine this is."""
    if not marker:
        return True
    try:
        return Marker(marker).evaluate(_environment(python))
    except InvalidMarker:
        return True


def _environment(python: BasePython) -> dict[str, str]:
    return {
        "extra": "",
        "implementation_name": "cpython",
        "implementation_version": python.version,
        "os_name": "posix",
        "platform_machine": python.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": python.system.capitalize(),
        "platform_version": "",
        "python_full_version": python.version,
        "python_version": python.minor,
        "sys_platform": python.system,
    }


def _pin(written: str, hashes: list[str]) -> Pin:
    requirement, _, marker = written.partition(" ; ")
    name, is_exact, version = requirement.partition("==")
    if not is_exact:
        name, _, address = requirement.partition(" @ ")
        version = _version_of(address)
    return Pin(canonicalize_name(name), version, tuple(hashes), marker)


def _version_of(address: str) -> str:
    file = unquote(urlsplit(address).path).rpartition("/")[2]
    parse = parse_wheel if file.endswith(".whl") else parse_sdist
    try:
        return str(parse(file)[1])
    except (InvalidWheelFilename, InvalidSdistFilename):
        return ""
