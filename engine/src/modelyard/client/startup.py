"""Starting the controller from outside: by name, detached, and waiting until it answers.

Also one-shot reports for a machine where no controller runs. Nothing here imports the daemon.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelyard.api import Device, Finding, ModelyardError, PluginRecord, SystemError_, Unavailable, UserError
from modelyard.client import failures, wire
from modelyard.client.client import Client
from modelyard.processes import Home, ProcessRef, alive, find_home, run, spawn_detached

if TYPE_CHECKING:
    from modelyard.api import EngineStatus

ReportName = Literal["plugins", "devices", "doctor"]
Report = tuple[PluginRecord, ...] | tuple[Device, ...] | tuple[Finding, ...]

DAEMON = "modelyard.daemon"
START_LOG = "controller.start.log"
REPORT_SECONDS = 60.0
_REPORTS: Mapping[str, type[Report]] = {
    "plugins": tuple[PluginRecord, ...],
    "devices": tuple[Device, ...],
    "doctor": tuple[Finding, ...],
}
_POLL_SECONDS = 0.05
_HOME_VARIABLES = ("MODELYARD_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")


def start_controller(
    home: Home | None = None,
    *,
    router_address: str | None = None,
    router_port: int | None = None,
    strict_plugins: bool = False,
    timeout_seconds: float = 30.0,
    on_line: Callable[[str], None] | None = None,
) -> Client:
    """Start the controller of `home` unless it runs, and return a client once it answers.

    The overrides win over `settings.yaml` for this run; an engine that runs already keeps its own.
    `on_line` hears what goes on. Raises the error that the controller itself ended with.
    """
    home = home or find_home(os.environ)
    say = on_line or (lambda _: None)
    client = Client(home)
    running = _status(client)
    if running is not None:
        say(f"the engine runs already (pid {running.pid})")
        return client
    home.create()
    log = home.logs / START_LOG
    log.unlink(missing_ok=True)
    argv = [
        sys.executable,
        "-P",
        "-m",
        DAEMON,
        "serve",
        *_flags(router_address, router_port, strict=strict_plugins),
    ]
    say("starting the controller")
    process = spawn_detached(argv, cwd=home.state, env=environment_of(home, os.environ), log=log)
    try:
        _await_answer(client, process, log, timeout_seconds)
    except ModelyardError:
        client.close()
        raise
    say("the controller answers")
    return client


def report(what: ReportName, home: Home | None = None, *, strict: bool = False) -> Report:
    """Ask the running controller, else a one-shot process, for plugins, devices or the doctor's findings."""
    home = home or find_home(os.environ)
    with Client(home) as client:
        if _status(client) is not None:
            return _asked(client, what)
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        answer = Path(folder) / "report.json"
        flags = ["--strict-plugins"] if strict else []
        argv = [sys.executable, "-P", "-m", DAEMON, "report", what, "--output", str(answer), *flags]
        ended = asyncio.run(run(argv, env=environment_of(home, os.environ), timeout_seconds=REPORT_SECONDS))
        if not answer.exists():
            raise _unexplained(ended.output_tail, f"the report on {what}")
        raw = json.loads(answer.read_bytes())
    if "error" in raw:
        raise failures.error_from_raw(raw["error"])
    return wire.from_raw(_REPORTS[what], raw["value"])


def _asked(client: Client, what: ReportName) -> Report:
    if what == "plugins":
        return client.plugins()
    return client.devices() if what == "devices" else client.doctor()


def environment_of(home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the environment in which `find_home` finds exactly `home`: the daemon and plugins ask it."""
    if find_home(environ) == home:
        return dict(environ)
    rest = {name: value for name, value in environ.items() if name not in _HOME_VARIABLES}
    for variables in (
        {"MODELYARD_HOME": str(home.state)},
        {"XDG_STATE_HOME": str(home.state.parent), "XDG_CACHE_HOME": str(home.cache.parent)},
        {
            "XDG_STATE_HOME": str(home.state.parent),
            "XDG_CACHE_HOME": str(home.cache.parent),
            "XDG_RUNTIME_DIR": str(home.run.parent),
        },
    ):
        if find_home(rest | variables) == home:
            return rest | variables
    raise UserError(
        "these folders are not an engine's home",
        place=f"{home.state}, {home.cache}, {home.run}",
        remedy="take a home that `find_home` gives, for example from MODELYARD_HOME",
    )


def _flags(address: str | None, port: int | None, *, strict: bool) -> list[str]:
    flags = []
    if address is not None:
        flags += ["--router-address", address]
    if port is not None:
        flags += ["--router-port", str(port)]
    if strict:
        flags.append("--strict-plugins")
    return flags


def _await_answer(client: Client, process: ProcessRef, log: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while _status(client) is None:
        if not alive(process):
            _raise_unless_conflict(_why_it_ended(log))
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the controller did not answer within {timeout_seconds:g} s",
                place=str(log),
                remedy="run `engine doctor`; give it more time on a slow machine",
            )
        time.sleep(_POLL_SECONDS)


def _status(client: Client) -> EngineStatus | None:
    try:
        return client.status()
    except Unavailable:
        return None


def _raise_unless_conflict(error: ModelyardError) -> None:
    # Somebody else started the engine at the same moment: its answer is as good.
    if error.code != "conflict":
        raise error


def _why_it_ended(log: Path) -> ModelyardError:
    """Read the daemon's own last words: an error as JSON, else whatever it said last."""
    text = log.read_text(encoding="utf-8", errors="replace")
    for line in reversed(text.splitlines()):
        try:
            raw = json.loads(line)
        except ValueError:
            continue
        if isinstance(raw, dict) and "error" in raw:
            return failures.error_from_raw(raw["error"])
    return _unexplained(text, "the controller", place=str(log))


def _unexplained(said: str, what: str, *, place: str = "") -> ModelyardError:
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    return SystemError_(f"{what} ended at once: {last}", place=place, remedy="run `engine doctor`")
