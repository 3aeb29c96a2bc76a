"""Finding the shared library of this interpreter, which Envoy loads to become Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

_SUFFIX = "dylib" if sys.platform == "darwin" else "so"
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


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
    raise LibpythonMissing(_VERSION)


def candidates() -> Iterator[Path]:
    """Return where this interpreter's own library may be, the most telling first.

    Where nearly every build has it is looked at before the build's own words are, which take 5 ms to load.
    """
    yield Path(sys.base_prefix, "lib", f"libpython{_VERSION}{sys.abiflags}.{_SUFFIX}.1.0")
    yield from _told()


def _told() -> Iterator[Path]:
    import sysconfig

    names = [f"libpython{_VERSION}.{_SUFFIX}.1.0", f"libpython{_VERSION}.{_SUFFIX}"]
    told = sysconfig.get_config_var("INSTSONAME")
    if isinstance(told, str) and f".{_SUFFIX}" in told:
        names.insert(0, Path(told).name)
    folders = [sysconfig.get_config_var("LIBDIR"), f"{sys.base_prefix}/lib", f"{sys.base_exec_prefix}/lib"]
    multiarch = sysconfig.get_config_var("MULTIARCH")
    if multiarch:
        folders += [f"{folder}/{multiarch}" for folder in (*folders, "/usr/lib", "/lib") if folder]
    folders += [f"{sys.base_prefix}/lib64", "/usr/lib64"]
    for folder in filter(None, folders):
        yield from (Path(folder, name) for name in names)
