"""Find the Python of an environment: the wanted version; for the server, one with a shared libpython.

Envoy loads libpython; workers that only run the user's script need none, and may be older.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

from modelyard.api import EnvironmentUnsolvable, Unavailable
from modelyard.environments.uv import uv_binary
from modelyard.processes import run_quickly

OLDEST_SERVER = (3, 11)
"""What the runtime's own wheel requires."""
OLDEST_WORKER = (3, 8)
"""What the part of the runtime that runs a script in a process of its own still reads."""
_PROBE_SECONDS = 20.0
_INSTALL_SECONDS = 300.0
_PROBE = """
import json, os, platform, sys, sysconfig
get = sysconfig.get_config_var
folders = [get("LIBDIR"), os.path.join(get("LIBDIR") or "", get("MULTIARCH") or ""), get("LIBPL"),
           os.path.join(sys.base_prefix, "lib")]
version = ".".join(map(str, sys.version_info[:2])) + sys.abiflags
names = [get("INSTSONAME"), get("LDLIBRARY"), f"libpython{version}.so.1.0", f"libpython{version}.so",
         f"libpython{version}.dylib"]
shared = any(n and ".a" != n[-2:] and os.path.exists(os.path.join(f, n)) for f in folders if f for n in names)
print(json.dumps({
    "path": getattr(sys, "_base_executable", sys.executable),
    "version": platform.python_version(),
    "abi": "cp%d%d%s" % (*sys.version_info[:2], sys.abiflags),
    "libc": "-".join(platform.libc_ver()) if platform.libc_ver()[0] else "",
    "shared_libpython": shared,
    "implementation": sys.implementation.name,
}))
"""


@attrs.frozen
class Interpreter:
    """A CPython: where it is, `3.11.7`, `cp311`, `glibc-2.36`, and whether libpython is shared."""

    path: Path
    version: str
    abi: str
    libc: str
    shared_libpython: bool


@functools.cache
def find_interpreter(wanted: str | None, *, serving: bool = True) -> Interpreter:
    """Find Python `wanted` (`3.11` or `3.11.7`; None = the engine's own), once for each engine.

    `serving` False: it runs the user's script only. Blocks: where no fitting Python is installed, uv
    may download one. Raises `EnvironmentUnsolvable` with what to install when none is to be had.
    """
    own = probe(Path(sys.executable))
    if wanted is None and own is not None and (own.shared_libpython or not serving):
        return own
    version = wanted or (own.version.rpartition(".")[0] if own else "3.11")
    _check(version, serving=serving)
    return choose(version, _candidates(version, own), serving=serving)


def choose(version: str, candidates: Iterator[Interpreter], *, serving: bool = True) -> Interpreter:
    """Take the first candidate of that version that can do the work; candidates are made lazily."""
    unshared = None
    for candidate in candidates:
        if not matches(candidate, version):
            continue
        if candidate.shared_libpython or not serving:
            return candidate
        unshared = unshared or candidate
    if unshared is None:
        raise EnvironmentUnsolvable(
            f"Python {version} is not installed and could not be downloaded",
            place="environment.python",
            remedy=f"install Python {version}{' (with its libpython)' if serving else ''},"
            f" or run `uv python install {version}`",
        )
    minor = ".".join(unshared.version.split(".")[:2])
    raise EnvironmentUnsolvable(
        f"Python {unshared.version} has no shared libpython, which the runtime loads",
        place=str(unshared.path),
        remedy=f"install libpython{minor} (Debian, Ubuntu) or python{minor}-libs (Fedora), "
        f"run `uv python install {minor}`, or set `isolation: process`",
    )


def serves(version: str | None) -> bool:
    """Say whether the server could run under that Python, as far as its number tells."""
    return version is None or _parts(version) >= OLDEST_SERVER


def matches(interpreter: Interpreter, version: str) -> bool:
    """Compare by whole parts: `3.1` does not match 3.11."""
    parts = version.split(".")
    return interpreter.version.split(".")[: len(parts)] == parts


def probe(path: Path) -> Interpreter | None:
    """Ask an interpreter about itself; None when it is broken or no CPython."""
    try:
        done = run_quickly([str(path), "-I", "-c", _PROBE], timeout_seconds=_PROBE_SECONDS)
    except Unavailable:
        return None
    facts = _last_json(done.output_tail) if done.status == 0 else {}
    if facts.pop("implementation", "") != "cpython":
        return None
    return Interpreter(
        path=Path(str(facts["path"])).resolve(),
        version=str(facts["version"]),
        abi=str(facts["abi"]),
        libc=str(facts["libc"]),
        shared_libpython=facts["shared_libpython"] is True,
    )


def _candidates(version: str, own: Interpreter | None) -> Iterator[Interpreter]:
    minor = ".".join(version.split(".")[:2])
    if own is not None:
        yield own
    on_path = (_on_path(name) for name in (f"python{minor}", "python3"))
    yield from (one for one in on_path if one is not None)
    yield from _pyenv(minor)
    if (managed := _uv_find(version)) is not None:
        yield managed
    done = run_quickly([uv_binary(), "python", "install", version], timeout_seconds=_INSTALL_SECONDS)
    if done.status == 0 and (managed := _uv_find(version)) is not None:
        yield managed


def _pyenv(minor: str) -> Iterator[Interpreter]:
    """Look where pyenv keeps its versions; its shims answer only for those that a person chose."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for path in sorted(root.glob(f"versions/{minor}.*/bin/python{minor}"), reverse=True):
        if (found := probe(path)) is not None:
            yield found


def _on_path(name: str) -> Interpreter | None:
    path = shutil.which(name)
    return probe(Path(path)) if path else None


def _uv_find(version: str) -> Interpreter | None:
    argv = [uv_binary(), "python", "find", "--managed-python", "--no-python-downloads", version]
    done = run_quickly(argv, timeout_seconds=_PROBE_SECONDS)
    return probe(Path(done.output_tail.splitlines()[-1])) if done.status == 0 and done.output_tail else None


def _check(version: str, *, serving: bool) -> None:
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3}){1,2}", version):
        raise EnvironmentUnsolvable(
            f"{version!r} is not a Python version",
            place="environment.python",
            remedy="write it as `3.11` or `3.11.7`",
        )
    oldest = OLDEST_SERVER if serving else OLDEST_WORKER
    if _parts(version) < oldest:
        shown = ".".join(map(str, oldest))
        raise EnvironmentUnsolvable(
            f"Python {version} is older than the runtime's oldest, {shown}",
            place="environment.python",
            remedy=f"ask for {shown} or newer{', or set `isolation: process`' if serving else ''}",
        )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))


def _last_json(text: str) -> dict[str, object]:
    try:
        facts = json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return facts if isinstance(facts, dict) else {}
