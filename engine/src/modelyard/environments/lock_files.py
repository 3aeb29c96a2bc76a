"""Hold a solved environment to a user's lock file: its versions, its hashes, its machines. Pure."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from modelyard.api import BasePython, EnvironmentUnsolvable, LockedPackage, LockFile
from modelyard.environments.locks import logical_lines, parse_pins, render
from modelyard.environments.pins import applies, read_pins

_PLACE = "environment.lock_file"


def check_target(lock_file: LockFile, python: BasePython) -> None:
    """Raise `EnvironmentUnsolvable` where the file was not made for this Python and machine."""
    wanted = lock_file.requires_python
    if not SpecifierSet(wanted).contains(python.version, prereleases=True):
        raise _not_for(python, f"its requires-python is {wanted}")
    environments = lock_file.environments
    if environments and not any(applies(marker, python) for marker in environments):
        raise _not_for(python, f"its environments are {', '.join(environments)}")


def held(text: str, lock_file: LockFile) -> str:
    """Take from a solved lock every hash that the file does not name for a package that it names.

    Packages that only the runtime needs stay as they are. Raises `EnvironmentUnsolvable` where nothing is left.
    """
    named: dict[str, list[LockedPackage]] = {}
    for package in lock_file.packages:
        named.setdefault(package.name, []).append(package)
    text = "\n".join(_with_hashes(line, named) for line in logical_lines(text))
    pins = parse_pins(text)
    for written, pin in zip(sorted(pins), read_pins(text), strict=True):
        if (name := canonicalize_name(pin.name)) in named:
            pins[written] = _kept(f"{name}=={pin.version}", pin.version, pins[written], named[name])
    return render(pins)


def _with_hashes(line: str, named: dict[str, list[LockedPackage]]) -> str:
    """Add the file's own hashes where uv gave none, as for an index that tells none: whoever installs checks them."""
    name, _, rest = line.partition("==")
    version = rest.partition(";")[0].strip()
    if "--hash" in line or canonicalize_name(name) not in named:
        return line
    found = [one for one in named[canonicalize_name(name)] if _same(one.version, version)]
    return " ".join([line, *(f"--hash={digest}" for one in found for digest in one.hashes)])


def _kept(shown: str, version: str, hashes: list[str], named: list[LockedPackage]) -> list[str]:
    allowed = {one for package in named if _same(package.version, version) for one in package.hashes}
    if kept := [one for one in hashes if one in allowed]:
        return kept
    raise EnvironmentUnsolvable(
        f"the package index has no file of {shown} with a hash that the lock file names",
        place=_PLACE,
        remedy="find out who replaced it on the index; if rightly, lock again from that index",
    )


def _same(one: str, other: str) -> bool:
    return bool(one and other) and Version(one) == Version(other)


def _not_for(python: BasePython, why: str) -> EnvironmentUnsolvable:
    return EnvironmentUnsolvable(
        f"the lock file is not for {python.shown}: {why}",
        place=_PLACE,
        remedy="lock again for it, or ask for another environment.python",
    )
