"""Whether wheels fit each other and a base's Python, and what they need besides. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from modelyard.api import BasePython, UserError
from modelyard.environments.distributions.wheels import WheelFile

_REMEDY = "build them together: `make packaging`"


def check_fit(wheels: Sequence[WheelFile], *, needed: Collection[str], place: str) -> None:
    """Raise `UserError` where one of `needed` is not there, or one is there twice."""
    names = [one.name for one in wheels]
    if missing := sorted(set(needed) - set(names)):
        raise UserError(f"there is no wheel of {', '.join(missing)}", place=place, remedy=_REMEDY)
    if twice := sorted({one.path.name for one in wheels if names.count(one.name) > 1}):
        raise UserError(
            f"there is more than one wheel of one distribution: {', '.join(twice)}",
            place=place,
            remedy="remove all but one of each",
        )


def requirements_of(wheels: Sequence[WheelFile], python: BasePython) -> tuple[str, ...]:
    """Give what the wheels need on a base besides each other, sorted, markers resolved, each once.

    Raises `UserError` where one refuses that Python, or another of them.
    """
    known = {one.name: one for one in wheels}
    for one in wheels:
        if not SpecifierSet(one.requires_python).contains(python.version, prereleases=True):
            raise UserError(
                f"{one.name} {one.version} requires Python {one.requires_python}, and the base has"
                f" {python.version}",
                place=one.path.name,
                remedy="choose a base with another Python",
            )
    return tuple(sorted(set(_outside(known, _environment(python)))))


def _outside(known: dict[str, WheelFile], environment: dict[str, str]) -> Iterator[str]:
    """Follow requirements from wheel to wheel, extras among them; yield those that lead outside."""
    waiting = [(one, "") for one in known.values()]
    seen = set(waiting)
    while waiting:
        wheel, extra = waiting.pop()
        for need in _needs(wheel, extra, environment):
            other = known.get(canonicalize_name(need.name))
            if other is None:
                yield _plain(need)
                continue
            _check_version(wheel, need, other)
            further = {(other, canonicalize_name(one)) for one in need.extras} - seen
            seen |= further
            waiting += further


def _needs(wheel: WheelFile, extra: str, environment: dict[str, str]) -> Iterator[Requirement]:
    for line in wheel.requires:
        need = Requirement(line)
        if need.marker is None or need.marker.evaluate({**environment, "extra": extra}):
            yield need


def _check_version(wheel: WheelFile, need: Requirement, other: WheelFile) -> None:
    if not need.specifier.contains(other.version, prereleases=True):
        raise UserError(
            f"{wheel.name} {wheel.version} needs {need.name}{need.specifier}, and the wheel beside it is"
            f" {other.version}",
            place=other.path.name,
            remedy=_REMEDY,
        )


def _plain(need: Requirement) -> str:
    need.marker = None
    return str(need)


def _environment(python: BasePython) -> dict[str, str]:
    """Say what markers see on a base."""
    return {
        "implementation_name": "cpython",
        "implementation_version": python.version,
        "os_name": "posix",
        "platform_machine": python.machine,
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python.version,
        "platform_python_implementation": "CPython",
        "python_version": python.minor,
        "sys_platform": "linux",
    }
