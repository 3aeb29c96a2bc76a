"""Finding the shared library of this interpreter, which Envoy loads to become Python."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path


class LibpythonMissing(Exception):
    """The interpreter has no shared library; `remedy` names the package that brings it."""

    def __init__(self, version: str) -> None:
        super().__init__(f"Python {version} at {sys.base_prefix} has no shared libpython")
        self.remedy = (
            f"install libpython{version} (Debian, Ubuntu) or python3-libs (Fedora),"
            f" or use a uv-managed Python: uv python install {version}"
        )


def find_libpython() -> str:
    """Return the library's path. Raises `LibpythonMissing`."""
    for candidate in candidates():
        if candidate.is_file():
            return str(candidate)
    raise LibpythonMissing(f"{sys.version_info.major}.{sys.version_info.minor}")


def candidates() -> list[Path]:
    """List where this interpreter's own library may be, the most telling first."""
    suffix = "dylib" if sys.platform == "darwin" else "so"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    names = [f"libpython{version}.{suffix}.1.0", f"libpython{version}.{suffix}"]
    told = sysconfig.get_config_var("INSTSONAME")
    if isinstance(told, str) and f".{suffix}" in told:
        names.insert(0, Path(told).name)
    folders = [sysconfig.get_config_var("LIBDIR"), f"{sys.base_prefix}/lib", f"{sys.base_exec_prefix}/lib"]
    multiarch = sysconfig.get_config_var("MULTIARCH")
    if multiarch:
        folders += [f"{folder}/{multiarch}" for folder in (*folders, "/usr/lib", "/lib") if folder]
    folders += [f"{sys.base_prefix}/lib64", "/usr/lib64"]
    return [Path(folder) / name for folder in folders if folder for name in names]
