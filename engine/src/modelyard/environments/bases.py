"""The Python of a base image, and the place in the image that an environment is laid out for. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import attrs

from modelyard.api import BasePython, EnvironmentUnsolvable
from modelyard.environments.interpreters import OLDEST_SERVER, OLDEST_WORKER, Interpreter

_PLACE = "environment.base"
_MANYLINUX = (17, 28, *range(31, 41))
"""The glibc 2.x that uv knows as a platform; a newer base runs what an older one does."""
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_PREFIX = re.compile(r"(/[\w.+@~-][\w.+@~ -]*)+")
"""What stands in shebangs, in a shell's single quotes and in pyvenv.cfg as it is."""


@attrs.frozen
class Place:
    """Where an environment will be found in the image, and by which Python it runs there."""

    prefix: PurePosixPath
    base: BasePython
    system_packages: bool = False
    """Whether packages that are installed with the base's Python are seen there."""

    @property
    def site(self) -> PurePosixPath:
        """The folder of packages, relative to the prefix."""
        return PurePosixPath("lib") / f"python{self.base.minor}" / "site-packages"

    @property
    def python(self) -> PurePosixPath:
        """The environment's own interpreter, as scripts name it."""
        return self.prefix / "bin" / "python"


def check_place(place: Place, *, serving: bool) -> None:
    """Raise `EnvironmentUnsolvable` where the base's Python cannot run what is to be laid out."""
    check_prefix(place.prefix)
    if (misfit := _misfit(place.base, serving=serving)) is not None:
        raise _unfit(place.base, misfit)


def why_not_serving(base: BasePython) -> str | None:
    """Say why the server cannot run in this Python; None = it can."""
    misfit = _misfit(base, serving=True) or _unknown_to_uv(base)
    return misfit.why if misfit else None


def check_base(python: BasePython, prefix: PurePosixPath, *, serving: bool) -> None:
    """Raise `EnvironmentUnsolvable` where nothing can be laid out for this Python at this prefix.

    `serving`: the server shall run in it.
    """
    check_place(Place(prefix, python), serving=serving)
    uv_platform(python)


def check_prefix(prefix: PurePosixPath) -> None:
    """Raise `EnvironmentUnsolvable` for a folder that cannot stand in shebangs and settings as it is."""
    if not _PREFIX.fullmatch(str(prefix)) or ".." in prefix.parts:
        raise EnvironmentUnsolvable(
            f"{str(prefix)!r} cannot be the folder of an environment in an image",
            place="the prefix",
            remedy="choose an absolute path of letters, digits, spaces and `.+@~_-`",
        )


def uv_platform(base: BasePython) -> str:
    """Name the base's platform as uv does: the newest that the base's glibc still satisfies."""
    if (misfit := _unknown_to_uv(base)) is not None:
        raise _unfit(base, misfit)
    return f"{_MACHINES[base.machine]}-manylinux_2_{max(_satisfied(base))}"


def check_compiler(compiler: Interpreter, base: BasePython) -> None:
    """Raise `EnvironmentUnsolvable` where this machine's Python writes other byte code than the base reads."""
    # Byte code is the same within a minor version from its first release on, not before it.
    same = re.fullmatch(rf"{re.escape(base.minor)}\.\d+", compiler.version) and compiler.abi == base.abi
    if not same:
        raise no_compiler(base, f"{compiler.path} is Python {compiler.version} ({compiler.abi})")


def no_compiler(base: BasePython, why: str) -> EnvironmentUnsolvable:
    """Say that nothing here can compile for the base."""
    return EnvironmentUnsolvable(
        f"nothing here compiles for {base.shown} ({base.abi}): {why}",
        place=_PLACE,
        remedy=f"run `uv python install {base.minor}` on this machine, or choose a base with another Python",
    )


@attrs.frozen
class _Misfit:
    """Why a Python does not do, and what a base should have instead."""

    why: str
    wanted: str


def _misfit(base: BasePython, *, serving: bool) -> _Misfit | None:
    if not re.fullmatch(r"3\.\d{1,3}\.\d{1,3}", base.version) or not base.path.is_absolute():
        why = f"{base.version} at {base.path} is no released CPython 3 at an absolute path"
        return _Misfit(why, "a release")
    oldest = OLDEST_SERVER if serving else OLDEST_WORKER
    if tuple(map(int, base.minor.split("."))) < oldest:
        shown = ".".join(map(str, oldest))
        return _Misfit(f"it is older than the runtime's oldest, {shown}", f"Python {shown} or newer")
    if serving and not base.shared_libpython:
        named = f"libpython{base.minor}.so.1.0"
        return _Misfit(f"it has no {named}, which the runtime loads", f"a Python and its {named}")
    return None


def _unknown_to_uv(base: BasePython) -> _Misfit | None:
    if base.system == "linux" and base.machine in _MACHINES and _satisfied(base):
        return None
    return _Misfit(
        "wheels are laid out for Linux on x86_64 or aarch64 with glibc 2.17 or newer",
        "such a system (Debian, Ubuntu or Fedora; not Alpine)",
    )


def _satisfied(base: BasePython) -> list[int]:
    libc = re.fullmatch(r"glibc-2\.(\d{1,3})(\.\d+)?", base.libc)
    return [one for one in _MANYLINUX if libc and one <= int(libc[1])]


def _unfit(base: BasePython, misfit: _Misfit) -> EnvironmentUnsolvable:
    return EnvironmentUnsolvable(
        f"the base's {base.shown} does not fit: {misfit.why}",
        place=_PLACE,
        remedy=f"choose a base image with {misfit.wanted}",
    )
