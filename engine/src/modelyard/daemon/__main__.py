"""`python -m modelyard.daemon serve` and `report WHAT`: how the client starts the engine, by name.

The last line on stderr of a failed run is the error as JSON: whoever started this reads it there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from modelyard.api import EngineSettings, ModelyardError, UserError
from modelyard.client import failures, wire
from modelyard.client.requests import ShutdownRequest
from modelyard.daemon.reports import REPORTS
from modelyard.daemon.serving import LEAVE_RUNNING, STOP_ALL, Stopping, serve
from modelyard.host import load
from modelyard.processes import Home, find_home, write_atomic
from modelyard.spec import read_settings
from modelyard.telemetry import LogSettings, configure


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = _parser().parse_args(argv)
    home = find_home(os.environ)
    try:
        if given.command == "serve":
            _serve(home, given)
        else:
            _report(home, given)
    except ModelyardError as error:
        raw = {"error": failures.error_to_raw(error)}
        sys.stderr.write(json.dumps(raw, default=repr) + "\n")
        return 1 if isinstance(error, UserError) else 2
    return 0


def settings_with(
    settings: EngineSettings, *, address: str | None, port: int | None, strict: bool
) -> EngineSettings:
    """Give the settings with what the command line overrides."""
    router = settings.router
    router = router if address is None else attrs.evolve(router, address=address)
    router = router if port is None else attrs.evolve(router, port=port)
    plugins = attrs.evolve(settings.plugins, strict=settings.plugins.strict or strict)
    return attrs.evolve(settings, router=router, plugins=plugins)


def _serve(home: Home, given: argparse.Namespace) -> None:
    home.create()
    stream = sys.stderr if given.contained else None
    configure(LogSettings(file=home.logs / "controller.log", stream=stream))
    settings = settings_with(
        read_settings(home.settings_file),
        address=given.router_address,
        port=given.router_port,
        strict=given.strict_plugins,
    )
    asyncio.run(_serve_until_signal(home, settings, STOP_ALL if given.contained else LEAVE_RUNNING))


async def _serve_until_signal(home: Home, settings: EngineSettings, request: ShutdownRequest) -> None:
    stopping = Stopping()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, _leave, stopping, request)
    await serve(home, settings, stopping=stopping)


def _leave(stopping: Stopping, request: ShutdownRequest) -> None:
    stopping.ask(request)


def _report(home: Home, given: argparse.Namespace) -> None:
    configure(LogSettings(level="CRITICAL"))  # what went wrong is in the report itself
    try:
        settings = settings_with(
            read_settings(home.settings_file), address=None, port=None, strict=given.strict_plugins
        )
        content: dict[str, object] = {"value": wire.to_raw(asyncio.run(_ask(settings, given.what)))}
    except ModelyardError as error:
        content = {"error": failures.error_to_raw(error)}
    write_atomic(given.output, json.dumps(content).encode())


async def _ask(settings: EngineSettings, what: str) -> object:
    host = load(settings.plugins)
    try:
        return await REPORTS[what](host)
    finally:
        host.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m modelyard.daemon", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run the controller until told to stop")
    serving.add_argument("--router-address")
    serving.add_argument("--router-port", type=int)
    serving.add_argument("--strict-plugins", action="store_true")
    serving.add_argument(
        "--contained",
        action="store_true",
        help="as in a container, which ends with this process: a signal stops the router and the replicas too,"
        " and stderr has the log besides the file",
    )
    report = commands.add_parser("report", help="ask plugins once and write the answer to a file")
    report.add_argument("what", choices=sorted(REPORTS))
    report.add_argument("--output", type=Path, required=True)
    report.add_argument("--strict-plugins", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
