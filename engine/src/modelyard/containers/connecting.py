"""Reach a daemon: in threads, for docker-py waits; within a time limit; with failures that say what to do."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import math
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from modelyard.api import ModelyardError, Unavailable
from modelyard.containers import failures
from modelyard.containers.values import DaemonFacts, facts_of

if TYPE_CHECKING:
    from docker import APIClient

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
ASK_SECONDS = 5.0
CHANGE_SECONDS = 120.0
"""Creating and starting a container wait for the daemon's disk."""
LOAD_SECONDS = 1800.0
"""The daemon unpacks an image without a word."""
OLDEST_API = (1, 41)
"""Docker 20.10."""
_CONNECT_SECONDS = 2.0
_SAY_WHAT = "say what it is"
_THREADS = 16
"""Calls at once; a follower of logs has a thread of its own."""
T = TypeVar("T")


def daemon_address(environ: Mapping[str, str]) -> str:
    """Say where the daemon listens, as Docker's own clients find out."""
    return environ.get("DOCKER_HOST") or DEFAULT_ADDRESS


class Daemon:
    """One Docker daemon by its address (`unix:///var/run/docker.sock`); connects when first asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._clients: dict[float, APIClient] = {}
        self._making = threading.Lock()
        self._facts: DaemonFacts | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is a daemon of this machine, whose containers have addresses here."""
        return self.address.startswith("unix://")

    @property
    def root(self) -> str:
        """The folder it keeps everything in; empty until it was asked for its facts."""
        return self._facts.root if self._facts else ""

    def close(self) -> None:
        """Let go of every connection; the next call connects anew."""
        with self._making:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    async def facts(self) -> DaemonFacts:
        """Ask what it is and what it can do."""
        self._facts = await self.call(_SAY_WHAT, _facts)
        return self._facts

    def facts_here(self, *, seconds: float) -> DaemonFacts:
        """Ask the same in this thread, which waits."""
        self._facts = self.call_here(_SAY_WHAT, _facts, seconds)
        return self._facts

    async def call(self, what: str, work: Callable[[APIClient], T], *, seconds: float = ASK_SECONDS) -> T:
        """Run `work` in a thread. `what` completes "the daemon did not ...". Raises errors of the tree.

        A call that is cancelled, or takes too long, is left behind; its own time limit ends it.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds + _CONNECT_SECONDS):
                return await loop.run_in_executor(_threads(), self.call_here, what, work, seconds)
        except TimeoutError as error:
            raise failures.slow(self.address, what, seconds) from error

    def call_here(self, what: str, work: Callable[[APIClient], T], seconds: float = ASK_SECONDS) -> T:
        """Run `work` in this thread, which waits. Raises errors of the tree."""
        with self._mapped(what, seconds):
            return work(self._client(seconds))

    def reach(self) -> None:
        """Raise an error of the tree when nobody listens; docker-py would say less, and later."""
        if not self.is_local:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_CONNECT_SECONDS)
            try:
                probe.connect(self.address.removeprefix("unix://"))
            except OSError as error:
                raise failures.unreachable(self.address, error) from error

    def _client(self, seconds: float) -> APIClient:
        self.reach()
        with self._making:
            client = self._clients.get(seconds)
            if client is None:
                client = self._clients[seconds] = self._connected(seconds)
            return client

    def _connected(self, seconds: float) -> APIClient:
        from docker import APIClient  # 0.2 s: only once a daemon is asked for

        # what the daemon speaks at most; an update while we run speaks the older one still
        patience = math.ceil(min(seconds, ASK_SECONDS))
        first = APIClient(base_url=self.address, version=_OLDEST, timeout=patience)
        with contextlib.closing(first) as asking:
            spoken = str(asking.version(api_version=False)["ApiVersion"])
        if _numbers(spoken) < OLDEST_API:
            raise failures.too_old(self.address, spoken, _OLDEST)
        newest = ".".join(map(str, min(_numbers(spoken), _NEWEST_API)))
        client = APIClient(base_url=self.address, version=newest, timeout=math.ceil(seconds))
        client.trust_env = False  # no proxy stands before a socket, and looking for one is a third of a call
        return client

    @contextlib.contextmanager
    def _mapped(self, what: str, seconds: float) -> Iterator[None]:
        """Turn whatever docker-py raises into errors of the tree."""
        try:
            yield
        except ModelyardError:
            raise
        except OSError as error:  # requests' exceptions are all of this kind, and so are docker-py's answers
            raise self._meant(error, what, seconds) from error
        except _nonsense() as error:
            raise Unavailable(
                f"the Docker daemon answered nonsense: {error}", place=self.address, remedy="try again"
            ) from error

    def _meant(self, error: OSError, what: str, seconds: float) -> ModelyardError:
        from docker.errors import APIError
        from requests.exceptions import Timeout

        if isinstance(error, APIError) and error.response is not None:
            words = str(error.explanation or error)
            return failures.refused(self.address, error.response.status_code, words, root=self.root)
        if isinstance(error, Timeout):
            return failures.slow(self.address, what, seconds)
        return failures.unreachable(self.address, error)


_NEWEST_API = (1, 45)
"""What docker-py was written for."""
_OLDEST = ".".join(map(str, OLDEST_API))


def _nonsense() -> tuple[type[Exception], ...]:
    """List what docker-py lets through where an answer is not what it should be."""
    from docker.errors import DockerException
    from urllib3.exceptions import HTTPError

    return (DockerException, HTTPError, ValueError, KeyError, TypeError)


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


def _facts(client: APIClient) -> DaemonFacts:
    return facts_of(client.version(), client.info())


@functools.cache
def _threads() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")
