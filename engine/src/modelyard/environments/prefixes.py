"""What a tree says about its own prefix: shebangs, pyvenv.cfg, links. Pure."""

from __future__ import annotations

import posixpath
from pathlib import PurePath, PurePosixPath

from modelyard.environments.bases import Place

_LONGEST_SHEBANG = 127
"""What every Linux kernel reads of a first line; newer ones read 255."""


def shebang(python: PurePath) -> bytes:
    """Begin a script so that `python` runs it, through the shell where the path is too long or has spaces."""
    path = str(python)
    if len(f"#!{path}\n".encode()) <= _LONGEST_SHEBANG and " " not in path:
        return f"#!{path}".encode()
    # Shell and Python both read these lines: Python takes the second and third for a string.
    quoted = path.replace("'", "'\"'\"'")
    return f"#!/bin/sh\n'''exec' '{quoted}' \"$0\" \"$@\"\n' '''".encode()


def moved(script: bytes, *, old: PurePath, new: PurePath) -> bytes:
    """Let `new` run a script that `old` ran; scripts of other interpreters stay as they are."""
    written = shebang(old)
    rest = script.removeprefix(written)
    if len(rest) == len(script) or (rest and not rest[:1].isspace()):
        return script
    return shebang(new) + rest


def pyvenv_cfg(place: Place) -> str:
    """Write what makes Python take the prefix for an environment of the base's interpreter."""
    lines = {
        "home": str(place.base.path.parent),
        "include-system-site-packages": str(place.system_packages).lower(),
        "version": place.base.version,
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items())


def links(place: Place) -> dict[str, str]:
    """Give the links of the tree: the interpreter's names, and `lib64` for systems that look there."""
    return {
        "bin/python": str(place.base.path),
        "bin/python3": "python",
        f"bin/python{place.base.minor}": "python",
        "lib64": "lib",
    }


def leads_astray(at: PurePosixPath, target: str, place: Place) -> bool:
    """Say whether a link, at a path relative to the prefix, leads out of the tree and not to the base's Python."""
    if target == str(place.base.path):
        return at != PurePosixPath("bin/python")
    return leads_out(at, target, place.prefix)


def leads_out(at: PurePosixPath, target: str, prefix: PurePosixPath) -> bool:
    """Say whether a link, at a path relative to the prefix, leads out of the tree."""
    meant = posixpath.normpath(posixpath.join(prefix, at.parent, target))
    return not PurePosixPath(meant).is_relative_to(prefix)
