"""Locks of conda environments: every package with its build, address and hash. Pure.

The text is one line of JSON for the platform and one for each package, sorted: the same packages give the
same text. Addresses hold no credentials.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import attrs

from modelyard.environments.keys import canonical, digest, public_address
from modelyard.environments.locks import LockDamaged

LOCK_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[\w.!+~-]+(\.conda|\.tar\.bz2)")
_GLIBC = re.compile(r"\d{1,3}\.\d{1,3}")
_MACHINES = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}
_NOARCH = ("", "generic", "python")


@attrs.frozen
class CondaPackage:
    """One locked package. `size` in bytes; `noarch` is empty, `generic` or `python`.

    What it depends on says in which order packages are linked, and `site_packages` where a Python that
    has an unusual folder for its packages keeps them.
    """

    name: str
    version: str
    build: str
    build_number: int
    subdir: str
    channel: str
    url: str
    sha256: str
    size: int
    noarch: str = ""
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    site_packages: str = ""

    @property
    def file(self) -> str:
        """The archive's name."""
        return self.url.rpartition("/")[2]

    @property
    def shown(self) -> str:
        """What messages call it."""
        return f"{self.name}={self.version}={self.build}"


@attrs.frozen
class CondaLock:
    """A solved conda environment for a platform (`linux-64`, glibc `2.36`); `text` is its canonical form."""

    spec_key: str
    subdir: str
    glibc: str
    packages: tuple[CondaPackage, ...]

    @property
    def text(self) -> str:
        """What is kept as a record."""
        head = {"kind": "conda", "version": LOCK_VERSION, "subdir": self.subdir, "glibc": self.glibc}
        lines = [head, *(attrs.asdict(one) for one in self.packages)]
        return "".join(f"{canonical(line).decode()}\n" for line in lines)

    @property
    def lock_key(self) -> str:
        """The hex digest of the packages; what was asked for, and on which glibc, does not count."""
        packages = [attrs.asdict(one) for one in self.packages]
        return digest(
            {"kind": "conda-lock", "version": LOCK_VERSION, "subdir": self.subdir, "packages": packages}
        )

    @property
    def machine(self) -> str:
        """`x86_64` or `aarch64`."""
        return _MACHINES[self.subdir]

    def package(self, name: str) -> CondaPackage | None:
        """Find a package by name."""
        return next((one for one in self.packages if one.name == name), None)


def make_conda_lock(packages: Iterable[CondaPackage], *, spec_key: str, subdir: str, glibc: str) -> CondaLock:
    """Make a lock; raises `LockDamaged` for a package that could not be fetched and checked by it."""
    if subdir not in _MACHINES or not _GLIBC.fullmatch(glibc):
        raise LockDamaged("it is for no platform that is known")
    ordered = sorted(packages, key=lambda one: one.name)
    for one in ordered:
        _check(one, subdir)
    if len({one.name for one in ordered}) != len(ordered):
        raise LockDamaged("a package stands twice in it")
    return CondaLock(spec_key, subdir, glibc, tuple(ordered))


def parse_conda_lock(text: str, *, spec_key: str) -> CondaLock:
    """Read a lock's text; raises `LockDamaged`."""
    try:
        head, *lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        if (head["kind"], head["version"]) != ("conda", LOCK_VERSION):
            raise LockDamaged("it is of another version")
        packages = [_package(line) for line in lines]
        return make_conda_lock(
            packages, spec_key=spec_key, subdir=str(head["subdir"]), glibc=str(head["glibc"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LockDamaged(f"not a lock of conda: {str(error)[:120]}") from error


def _package(line: dict[str, object]) -> CondaPackage:
    kinds = {field.name: field.type for field in attrs.fields(CondaPackage)}
    if set(line) != set(kinds):
        raise LockDamaged("a package has other fields")
    for name, value in line.items():
        wanted = {"int": int, "str": str}.get(str(kinds[name]), list)
        if not isinstance(value, wanted) or (
            isinstance(value, list) and not all(isinstance(x, str) for x in value)
        ):
            raise LockDamaged(f"a package's {name} is of another kind")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in line.items()}
    return CondaPackage(**values)  # type: ignore[arg-type]  # checked above


def _check(one: CondaPackage, subdir: str) -> None:
    right = (
        _SHA256.fullmatch(one.sha256)
        and _FILE.fullmatch(one.file)
        and urlsplit(one.url).scheme in ("http", "https", "file")
        and public_address(one.url) == one.url
        and public_address(one.channel) == one.channel
        and one.subdir in ("noarch", subdir)
        and one.noarch in _NOARCH
        and one.size >= 0
    )
    if not right:
        raise LockDamaged(f"{one.name} has no address and hash to fetch it by")
