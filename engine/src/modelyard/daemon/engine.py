"""`modelyard.Engine`: a whole engine inside your own program."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from modelyard.api import EngineSettings, Unavailable
from modelyard.client import Client
from modelyard.client.requests import ShutdownRequest
from modelyard.daemon.serving import Stopping, Wiring, serve
from modelyard.processes import Home, find_home
from modelyard.spec import read_settings

START_SECONDS = 60.0


class Engine:
    """Runs a controller in a thread of this process, for as long as the `with` block lasts.

        from pathlib import Path
        from modelyard import Engine
        from modelyard.spec import read_service

        with Engine(home=Path("engine-home")) as engine:
            client = engine.client
            operation = client.deploy(read_service(Path("examples/digits")))
            client.wait(operation.id)
            print(client.score("digits", b'{"data": [[0.0]]}').body)

    `home` None = the environment's own. Replicas and router end with the block unless `keep_running`;
    then the next engine of that home adopts them. One engine a home: `Conflict` says who has it.
    """

    def __init__(
        self,
        home: Home | Path | None = None,
        *,
        settings: EngineSettings | None = None,
        keep_running: bool = False,
        wiring: Wiring | None = None,
    ) -> None:
        if isinstance(home, Path):
            home = find_home({"MODELYARD_HOME": str(home)})
        self.home = home or find_home(os.environ)
        self._settings = settings
        self._wiring = wiring
        self._request = ShutdownRequest(stop_replicas=not keep_running, stop_router=not keep_running)
        self._thread: threading.Thread | None = None
        self._ended: Future[None] = Future()
        self._client: Client | None = None
        self._stopping: Stopping | None = None
        self._started = False

    @property
    def client(self) -> Client:
        """A client of this engine; raises `Unavailable` before it is started."""
        if self._client is None:
            raise Unavailable("the engine is not running", remedy="enter its `with` block first")
        return self._client

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Return once the engine answers; raises what kept it from starting."""
        settings = self._settings or read_settings(self.home.settings_file)
        ready: Future[None] = Future()
        self._ended = Future()
        self._thread = threading.Thread(
            target=self._run, args=(settings, ready), name="modelyard-engine", daemon=True
        )
        self._thread.start()
        try:
            ready.result(timeout=START_SECONDS)
        except TimeoutError as error:
            self._ask_to_end()
            raise Unavailable(
                f"the engine did not start within {START_SECONDS:g} s",
                place=str(self.home.state),
                remedy="run `engine doctor`",
            ) from error
        self._started = True
        self._client = Client(self.home)

    def close(self) -> None:
        """Stop the engine; raises what went wrong while it ended. Closing twice is fine."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._ask_to_end()
        thread, self._thread = self._thread, None
        if thread is not None and self._started:
            thread.join()
            self._started = False
            self._ended.result()

    def _ask_to_end(self) -> None:
        if self._stopping is not None:
            self._stopping.ask_from_thread(self._request)

    def _run(self, settings: EngineSettings, ready: Future[None]) -> None:
        async def body() -> None:
            self._stopping = Stopping()
            await serve(
                self.home,
                settings,
                stopping=self._stopping,
                wiring=self._wiring,
                on_ready=lambda: ready.set_result(None),
            )

        async def settled() -> BaseException | None:
            (outcome,) = await asyncio.gather(body(), return_exceptions=True)
            return outcome

        failure = asyncio.run(settled())
        # Whoever waits hears of it: `start` before the engine answered, `close` after.
        listener = self._ended if ready.done() else ready
        if failure is None:
            listener.set_result(None)
        else:
            listener.set_exception(failure)
