"""Which Pythons an image has, read off its contents and its PATH, and which of them a service gets. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from modelyard.api import BasePython, ImageUnbuildable, Platform
from modelyard.images.contents import Contents

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What runtimes give a container whose image sets none."""
_LIBRARIES = ("lib", "lib64")
_NAME = re.compile(r"python(3\.\d{1,2})")


def find_pythons(contents: Contents, config: Mapping[str, Any], platform: Platform) -> tuple[BasePython, ...]:
    """Give every CPython on the image's PATH, the one that `python3` means first.

    One whose release cannot be told is left out; `libc` is empty where the image has no glibc.
    """
    machine = machine_of(platform)
    libc = find_libc(contents, machine)
    found: dict[str, BasePython] = {}
    for path in _on_path(contents, config):
        actual = contents.resolve(path)
        minor = _NAME.fullmatch(posixpath.basename(actual))
        if (
            actual in found
            or minor is None
            or (release := _release(contents, actual, minor[1], machine)) is None
        ):
            continue
        found[actual] = BasePython(
            path=PurePosixPath("/") / path,
            version=release,
            abi=f"cp{minor[1].replace('.', '')}",
            libc=libc,
            machine=machine,
            shared_libpython=_shared(contents, actual, minor[1], machine) is not None,
        )
    return tuple(found.values())


def machine_of(platform: Platform) -> str:
    """Name a platform's processor as the system does: `x86_64`."""
    return _MACHINES.get(platform.architecture, platform.architecture)


def choose_python(found: Sequence[BasePython], wanted: str | None, *, serving: bool, base: str) -> BasePython:
    """Take the first that is of the version wanted (`3.11` or `3.11.7`); None = whatever `python3` means.

    `serving`: the server will run in it, so one with a shared libpython is preferred. Whether it fits is
    judged later, with its own words. Raises `ImageUnbuildable` where there is none.
    """
    parts = wanted.split(".") if wanted else []
    fitting = [one for one in found if one.version.split(".")[: len(parts)] == parts]
    if not fitting:
        there = ", ".join(one.shown for one in found) or "no Python at all"
        raise ImageUnbuildable(
            f"the base image has no Python {wanted or '3'} on its PATH; it has {there}",
            place=base,
            remedy="name a base that has it, install it with environment.docker_steps,"
            " or ask for one that is there in environment.python",
        )
    if serving:
        fitting.sort(key=lambda one: not one.shared_libpython)
    return fitting[0]


def _on_path(contents: Contents, config: Mapping[str, Any]) -> Iterator[str]:
    """Give the places where a Python may be: the plain names first, so that they decide."""
    folders = [one.strip("/") for one in path_of(config).split(":") if one.startswith("/")]
    for name in ("python3", "python"):
        for folder in folders:
            actual = contents.resolve(f"{folder}/{name}")
            if actual in contents.files:
                yield _nearest(contents, actual, folders)
    for folder in folders:
        real = contents.resolve(folder)
        yield from sorted(path for path in contents.files if posixpath.dirname(path) == real)
        yield from sorted(path for path in contents.links if posixpath.dirname(path) == real)


def _nearest(contents: Contents, actual: str, folders: Sequence[str]) -> str:
    """Name a file by its own name in a folder of the PATH, where it has one there."""
    name = posixpath.basename(actual)
    here = (f"{folder}/{name}" for folder in folders)
    return next((path for path in here if contents.resolve(path) == actual), actual)


def path_of(config: Mapping[str, Any]) -> str:
    """Give the PATH of an image by its configuration."""
    running: Mapping[str, Any] = config.get("config") or {}
    variables = dict(line.partition("=")[::2] for line in running.get("Env") or ())
    return variables.get("PATH") or _DEFAULT_PATH


def _release(contents: Contents, python: str, minor: str, machine: str) -> str | None:
    """Read `3.11.7` from the header, else from the library, else from the program: the first that is sure."""
    prefix = posixpath.dirname(posixpath.dirname(python))
    header = f"{prefix}/include/python{minor}/patchlevel.h"
    for path in (header, _shared(contents, python, minor, machine), python):
        traits = contents.traits(path) if path else None
        releases = [one for one in traits.pythons if one.startswith(f"{minor}.")] if traits else []
        if len(releases) == 1:
            return releases[0]
    return None


def _shared(contents: Contents, python: str, minor: str, machine: str) -> str | None:
    prefix = posixpath.dirname(posixpath.dirname(python))
    folders = [f"{root}/{lib}" for root in (prefix, "usr", "") for lib in _LIBRARIES]
    folders += [f"{folder}/{machine}-linux-gnu" for folder in folders]
    paths = (f"{folder}/libpython{minor}.so.1.0".lstrip("/") for folder in folders)
    return next((path for path in paths if contents.traits(path) is not None), None)


def find_libc(contents: Contents, machine: str) -> str:
    """Give the glibc of an image, as `glibc-2.36`; empty where it has none."""
    folders = (
        "lib64",
        f"lib/{machine}-linux-gnu",
        f"usr/lib/{machine}-linux-gnu",
        "usr/lib64",
        "lib",
        "usr/lib",
    )
    for folder in folders:
        traits = contents.traits(f"{folder}/libc.so.6")
        if traits is not None and traits.glibc:
            return f"glibc-{traits.glibc}"
    return ""
