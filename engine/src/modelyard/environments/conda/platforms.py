"""The platform that conda packages are chosen for: the image's, never this machine's. Pure."""

from __future__ import annotations

import re

import attrs

from modelyard.api import EnvironmentUnsolvable

_SUBDIRS = {"x86_64": "linux-64", "amd64": "linux-64", "aarch64": "linux-aarch64", "arm64": "linux-aarch64"}
_ARCHSPECS = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}
_VERSION = re.compile(r"\d{1,5}(\.\d{1,5}){0,3}")


@attrs.frozen
class CondaPlatform:
    """A folder of channels (`linux-64`), and what the image and its machines have: conda's virtual packages.

    `linux` is the oldest kernel that it will run on; `0` promises none. `archspec` is the processor's
    family (`x86_64_v3`), `cuda` the newest CUDA of the driver (empty = none).
    """

    subdir: str
    glibc: str
    archspec: str
    linux: str = "0"
    cuda: str = ""

    @property
    def virtual_packages(self) -> dict[str, tuple[str, str]]:
        """Version and build of each virtual package."""
        packages = {
            "__unix": ("0", "0"),
            "__linux": (self.linux, "0"),
            "__glibc": (self.glibc, "0"),
            "__archspec": ("1", self.archspec),
        }
        return packages | ({"__cuda": (self.cuda, "0")} if self.cuda else {})

    @property
    def shown(self) -> str:
        """What messages call it."""
        return f"{self.subdir} with glibc {self.glibc}"


def conda_platform(
    machine: str, libc: str, *, linux: str = "0", archspec: str = "", cuda: str = ""
) -> CondaPlatform:
    """Name a base image's platform as conda does, from `x86_64` or `arm64` and `glibc-2.36`.

    Raises `EnvironmentUnsolvable` for what conda has no packages for.
    """
    subdir = _SUBDIRS.get(machine)
    glibc = re.fullmatch(r"glibc-(\d{1,3}\.\d{1,3})(\.\d+)?", libc)
    if subdir is None or glibc is None:
        raise EnvironmentUnsolvable(
            f"conda packages are laid out for Linux on x86_64 or aarch64 with glibc, not for {machine}"
            f" with {libc or 'none'}",
            place="environment.base",
            remedy="choose such a base image (Debian, Ubuntu or Fedora; not Alpine)",
        )
    if not _VERSION.fullmatch(linux) or (cuda and not _VERSION.fullmatch(cuda)):
        raise EnvironmentUnsolvable(
            f"kernel {linux!r} or CUDA {cuda!r} is no version",
            place="environment.base",
            remedy="write it as `5.10` or `12.4`",
        )
    return CondaPlatform(subdir, glibc[1], archspec or _ARCHSPECS[subdir], linux, cuda)
