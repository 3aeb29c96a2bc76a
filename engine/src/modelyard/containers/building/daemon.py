"""What a build asks of a Docker daemon about images, each with a connection of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import attrs

from modelyard.containers import failures
from modelyard.containers.building.stopping import Stop, Stopped
from modelyard.containers.connecting import Daemon, daemon_address

_TIMEOUT_SECONDS = 600
"""A daemon writes a whole image to its disk before it says a word."""
_CHUNK_BYTES = 1 << 20
_FULL = ("no space left", "disk quota exceeded")


@attrs.frozen
class BuildDaemon:
    """The daemon that `environ` names, as the `docker` command would find it."""

    environ: Mapping[str, str] = attrs.field(repr=False)

    @property
    def address(self) -> str:
        """Where it listens."""
        return daemon_address(self.environ)

    def ping(self) -> None:
        """Raise an error of the tree when it does not answer."""
        with self.asked():
            return

    def save(self, image: str, stop: Stop) -> Generator[bytes]:
        """Give the archive of an image; whoever does not read it to its end closes it."""
        with self.asked(stop) as client:
            yield from stop.watched(client.get_image(image, chunk_size=_CHUNK_BYTES))

    def remove_image(self, name: str) -> None:
        """Remove a tag, and its image with the last one; what it was built from stays, as Docker's cache."""
        from docker.errors import NotFound

        with self.asked() as client, contextlib.suppress(NotFound):
            client.remove_image(name, noprune=True)

    def remove_container(self, name: str) -> None:
        """Kill and remove a container; none of that name is fine."""
        from docker.errors import APIError, NotFound

        with self.asked() as client:
            try:
                client.remove_container(name, force=True, v=True)
            except NotFound:
                return
            except APIError as failure:
                if "already in progress" not in str(failure.explanation):
                    raise

    @contextlib.contextmanager
    def asked(self, stop: Stop | None = None) -> Iterator[Any]:
        """Connect; turn what docker-py raises into our errors, and into `Stopped` once it was asked for."""
        from docker.errors import APIError, DockerException
        from urllib3.exceptions import HTTPError

        try:
            with contextlib.ExitStack() as held:
                client = held.enter_context(contextlib.closing(self._connect()))
                client.hooks["response"].append(_closing(held))
                if stop is not None:
                    client.hooks["response"].append(stop.hook)
                yield client
        except (APIError, DockerException, HTTPError, OSError) as failure:
            if stop is not None and stop.is_set:
                raise Stopped from failure
            raise self._translated(failure) from failure

    def _translated(self, failure: Exception) -> Exception:
        from docker.errors import APIError, DockerException

        if isinstance(failure, APIError):
            status = failure.status_code or HTTPStatus.INTERNAL_SERVER_ERROR
            return failures.refused(self.address, status, str(failure.explanation or failure))
        ours = isinstance(failure, OSError) and not isinstance(failure, (ConnectionError, TimeoutError))
        if ours and not isinstance(failure, DockerException) and not _of_requests(failure):
            return failure  # the disk's, not the connection's
        return failures.unreachable(self.address, OSError(str(failure)))

    def _connect(self) -> Any:  # docker-py is half typed
        from docker import APIClient
        from docker.utils import kwargs_from_env

        Daemon(self.address).reach()  # docker-py would leave a socket open where nobody listens
        known = kwargs_from_env(environment=dict(self.environ))
        return APIClient(version="auto", timeout=_TIMEOUT_SECONDS, **known)


def _closing(held: contextlib.ExitStack) -> Callable[..., None]:
    """A client does not close what was not read to its end."""

    def hook(response: Any, *_: Any, **__: Any) -> None:
        held.callback(response.close)

    return hook


def is_full(message: str) -> bool:
    """Say whether a daemon speaks of its disk."""
    return any(words in message.lower() for words in _FULL)


def _of_requests(failure: Exception) -> bool:
    return type(failure).__module__.partition(".")[0] == "requests"
