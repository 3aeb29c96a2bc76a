"""What a build asks of a Docker daemon about images, each with a connection of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from modelyard.api import ModelyardError, Platform, Unavailable
from modelyard.containers.building.stopping import Stop, Stopped

_DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_TIMEOUT_SECONDS = 600
"""A daemon writes a whole image to its disk before it says a word."""
_CHUNK_BYTES = 1 << 20
_FULL = ("no space left", "disk quota exceeded")


@attrs.frozen
class Image:
    """An image as the daemon knows it."""

    id: str
    platform: Platform
    diff_ids: tuple[str, ...]


@attrs.frozen
class BuildDaemon:
    """The daemon that `environ` names, as the `docker` command would find it."""

    environ: Mapping[str, str] = attrs.field(repr=False)

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.environ.get("DOCKER_HOST") or _DEFAULT_ADDRESS

    def ping(self) -> None:
        """Raise `Unavailable` when it does not answer."""
        with self.asked():
            return

    def find(self, name: str) -> Image | None:
        """Look for an image by name and tag, or identity."""
        from docker.errors import NotFound

        with self.asked() as client:
            try:
                return _image(client.inspect_image(name))
            except NotFound:
                return None

    def load(self, archive: Iterator[bytes], stop: Stop) -> None:
        """Give the daemon an archive: it keeps all of it or nothing."""
        with self.asked(stop) as client:
            for line in client.load_image(stop.watched(archive)):
                if error := line.get("error"):
                    raise refused(str(error), self.address)

    def save(self, image: str, stop: Stop) -> Iterator[bytes]:
        """Give the archive of an image."""
        with self.asked(stop) as client:
            yield from stop.watched(client.get_image(image, chunk_size=_CHUNK_BYTES))

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Point a tag at an image."""
        with self.asked() as client:
            client.tag(image, repository, tag, force=True)

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
            return refused(str(failure.explanation or failure), self.address)
        ours = isinstance(failure, OSError) and not isinstance(failure, (ConnectionError, TimeoutError))
        if ours and not isinstance(failure, DockerException) and not _of_requests(failure):
            return failure  # the disk's, not the connection's
        return silent(self.address, failure)

    def _connect(self) -> Any:  # docker-py is half typed
        from docker import APIClient
        from docker.utils import kwargs_from_env

        known = kwargs_from_env(environment=dict(self.environ))
        return APIClient(version="auto", timeout=_TIMEOUT_SECONDS, **known)


def _closing(held: contextlib.ExitStack) -> Callable[..., None]:
    """A client does not close what was not read to its end."""

    def hook(response: Any, *_: Any, **__: Any) -> None:
        held.callback(response.close)

    return hook


def silent(address: str, why: object) -> Unavailable:
    """Say that no daemon answers."""
    return Unavailable(
        f"no Docker daemon answers: {why}",
        place=address,
        remedy="install and start Docker, or set DOCKER_HOST to where it listens; "
        "this user must be allowed to use its socket",
    )


def refused(message: str, address: str) -> ModelyardError:
    """Turn what a daemon said when it did not do as it was told."""
    if is_full(message):
        return Unavailable(
            "the disk of the Docker daemon is full",
            place=address,
            remedy="free space there (`docker system df` shows what takes it) and try again",
        )
    return Unavailable(
        f"the Docker daemon failed: {message}", place=address, remedy="look at its log; try again"
    )


def is_full(message: str) -> bool:
    """Say whether a daemon speaks of its disk."""
    return any(words in message.lower() for words in _FULL)


def _of_requests(failure: Exception) -> bool:
    return type(failure).__module__.partition(".")[0] == "requests"


def _image(found: Mapping[str, Any]) -> Image:
    return Image(
        id=found["Id"],
        platform=Platform(*(str(found.get(key) or "") for key in ("Os", "Architecture", "Variant"))),
        diff_ids=tuple((found.get("RootFS") or {}).get("Layers") or ()),
    )
