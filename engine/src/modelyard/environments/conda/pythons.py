"""What a laid out conda environment has for Python: the interpreter, and the packages that pip finds there."""

from __future__ import annotations

import email.parser
import re
from email.message import Message
from pathlib import Path, PurePosixPath

import attrs
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelyard.api import BasePython, EnvironmentUnsolvable
from modelyard.environments.conda.locks import CondaLock, CondaPackage
from modelyard.environments.preinstalled import Preinstalled

_RELEASE = re.compile(r"(?P<minor>3\.\d{1,3})\.\d{1,3}")


def locked_python(lock: CondaLock, *, prefix: PurePosixPath) -> BasePython | None:
    """Describe a lock's Python as far as the lock tells: without its libpython. Errors as `python_of`."""
    package = lock.package("python")
    if package is None:
        return None
    found = _RELEASE.fullmatch(package.version)
    if found is None or "pypy" in package.build:
        raise _no_cpython(package)
    named = lock.package("python_abi") or package
    threads = "t" if re.search(r"cp3\d+t\b", named.build) else ""
    minor = found["minor"]
    return BasePython(
        path=prefix / "bin" / f"python{minor}{threads}",
        version=found[0],
        abi=f"cp{minor.replace('.', '')}{threads}",
        libc=f"glibc-{lock.glibc}",
        machine=lock.machine,
        shared_libpython=False,
    )


def python_of(lock: CondaLock, tree: Path, *, prefix: PurePosixPath) -> BasePython | None:
    """Describe the Python of a laid out `tree` as it will be at `prefix`, for the environment on top of it.

    None = the environment has no Python. Raises `EnvironmentUnsolvable` for one that is no CPython 3.
    """
    python = locked_python(lock, prefix=prefix)
    package = lock.package("python")
    if python is None or package is None:
        return None
    if not (tree / "bin" / python.path.name).is_file():
        raise _no_cpython(package)
    library = f"lib{python.path.name}.so.1.0"
    return attrs.evolve(python, shared_libpython=(tree / "lib" / library).is_file())


def pip_constraints(tree: Path) -> tuple[Preinstalled, ...]:
    """List the Python packages of a laid out environment: what pip installs on top must fit them.

    For `solve_for_base(..., preinstalled=...)`, which leaves them out of its lock.
    """
    folders = sorted(tree.glob("lib/python3.*/site-packages"))
    found = [one for site in folders for path in _metadata(site) if (one := _read(path)) is not None]
    return tuple(sorted({one.name: one for one in found}.values(), key=lambda one: one.name))


def _metadata(site: Path) -> list[Path]:
    """Find what packages say of themselves; older ones of conda have an egg's file or folder."""
    eggs = [path / "PKG-INFO" if path.is_dir() else path for path in site.glob("*.egg-info")]
    return [path for path in sorted([*eggs, *site.glob("*.dist-info/METADATA")]) if path.is_file()]


def _read(path: Path) -> Preinstalled | None:
    with path.open("rb") as file:
        said = email.parser.BytesHeaderParser().parse(file)
    try:
        version = str(Version(str(said["Version"])))
    except InvalidVersion:
        return None  # no requirement of pip's could name it
    name = canonicalize_name(str(said["Name"]))
    return Preinstalled(name, version, _all(said, "Provides-Extra"), _of_extras(said)) if name else None


def _of_extras(said: Message) -> tuple[str, ...]:
    """Keep what extras need: what the package itself needs, conda has installed, under whatever name."""
    return tuple(line for line in _all(said, "Requires-Dist") if re.search(r"\bextra\s*==", line))


def _all(said: Message, field: str) -> tuple[str, ...]:
    return tuple(str(line) for line in said.get_all(field, []))


def _no_cpython(package: CondaPackage) -> EnvironmentUnsolvable:
    return EnvironmentUnsolvable(
        f"{package.shown} is no CPython 3 that was released",
        place="environment.conda.dependencies",
        remedy="ask for a `python` of CPython",
    )
