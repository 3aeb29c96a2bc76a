"""Wheels that tests install."""

from __future__ import annotations

import zipfile
from pathlib import Path

VERSION = "3.1"
VALUE = 31
INFO = f"extra_thing-{VERSION}.dist-info"
PARTS = {
    "extra_thing.py": f"VALUE = {VALUE}\n",
    f"{INFO}/METADATA": f"Metadata-Version: 2.1\nName: extra-thing\nVersion: {VERSION}\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/RECORD": "",
}


def write_wheel(folder: Path) -> Path:
    """Write a wheel of one module, `extra_thing`."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"extra_thing-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in PARTS.items():
            archive.writestr(name, content)
    return wheel
