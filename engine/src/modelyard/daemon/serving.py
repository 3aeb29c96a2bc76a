"""One engine from its lock to its last word: plugins, controller, management socket, orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Protocol

import attrs
from modelyard_runtime.contract import start_ticks

from modelyard.api import Conflict, EngineSettings, PluginSettings
from modelyard.client import presence
from modelyard.client.requests import ShutdownRequest
from modelyard.client.startup import environment_of
from modelyard.controller import Controller
from modelyard.host import Host, load
from modelyard.management import ManagedEngine, ManagementServer, build_app
from modelyard.processes import FileLock, Home, ProcessRef
from modelyard.telemetry import get_logger

LOCK_FILE = "controller.lock"
LOCK_SECONDS = 5.0
"""A predecessor that is just ending gets this long before the newcomer gives up."""

LEAVE_RUNNING = ShutdownRequest(stop_replicas=False, stop_router=False)
STOP_ALL = ShutdownRequest(stop_replicas=True, stop_router=True)

_log = get_logger("modelyard.daemon")


class OwnedEngine(ManagedEngine, Protocol):
    """What the daemon needs of a controller beyond what the management interface asks."""

    async def close(self, *, stop_replicas: bool = False, stop_router: bool = False) -> None:
        """Let go of everything."""
        ...


@attrs.frozen
class Wiring:
    """How the two big parts are made; tests put fakes here."""

    load_host: Callable[[PluginSettings], Host] = load
    open_controller: Callable[[Home, EngineSettings, Host], Awaitable[OwnedEngine]] = Controller.open


class Stopping:
    """The wish that the engine end; the first one counts. Belongs to the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._request: asyncio.Future[ShutdownRequest] = self._loop.create_future()

    def ask(self, request: ShutdownRequest) -> None:
        """Ask for the end, from the loop's own thread."""
        if not self._request.done():
            self._request.set_result(request)

    def ask_from_thread(self, request: ShutdownRequest) -> None:
        """Ask for the end, from any thread; an engine that is gone needs no asking."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.ask, request)

    async def wait(self) -> ShutdownRequest:
        """Return what was asked for, once it was."""
        return await asyncio.shield(self._request)


async def serve(
    home: Home,
    settings: EngineSettings,
    *,
    stopping: Stopping,
    wiring: Wiring | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Run the engine of `home` until `stopping` is asked. Raises `Conflict` when one runs already."""
    wiring = wiring or Wiring()
    home.create()
    async with _alone(home):
        with _environment(home):
            host = wiring.load_host(settings.plugins)
        try:
            controller = await wiring.open_controller(home, settings, host)
            await _serve_until_asked(home, controller, stopping, on_ready)
        finally:
            host.close()


async def _serve_until_asked(
    home: Home, controller: OwnedEngine, stopping: Stopping, on_ready: Callable[[], None]
) -> None:
    server = ManagementServer(build_app(controller, shutdown=stopping.ask), home.controller_socket)
    request = LEAVE_RUNNING
    try:
        await server.start()
        presence.announce(home, ProcessRef(pid=os.getpid(), start_ticks=start_ticks(os.getpid())))
        _log.info("serving", socket=str(home.controller_socket))
        on_ready()
        request = await stopping.wait()
        _log.info("stopping", replicas=request.stop_replicas, router=request.stop_router)
    finally:
        await server.stop()
        try:
            await controller.close(stop_replicas=request.stop_replicas, stop_router=request.stop_router)
        finally:
            _log.info("stopped")
            # Last of all: clients that wait for the end watch this file.
            presence.withdraw(home)


@contextlib.asynccontextmanager
async def _alone(home: Home) -> AsyncIterator[None]:
    lock = FileLock(home.run / LOCK_FILE, timeout_seconds=LOCK_SECONDS)
    try:
        await lock.__aenter__()
    except Conflict as error:
        raise Conflict(
            f"an engine runs here already (process {lock.holder() or 'unknown'})",
            place=str(home.run),
            remedy="use it, or stop it first: `engine down`",
        ) from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


@contextlib.contextmanager
def _environment(home: Home) -> Iterator[None]:
    """Let plugins, which find the home in the environment, find this one while they load."""
    before, wanted = dict(os.environ), environment_of(home, os.environ)
    _become(wanted)
    try:
        yield
    finally:
        _become(before)


def _become(wanted: dict[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
