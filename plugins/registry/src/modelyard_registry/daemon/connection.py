"""The door to docker-py: what the record asks of a daemon, each with a connection of its own.

Blocking; callers use threads. docker-py is imported on the first call, since that takes a quarter of a second.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import attrs
from modelyard.api import Platform

from modelyard_registry.daemon.names import familiar, whole_name
from modelyard_registry.daemon.refusals import refused, silent, unpulled
from modelyard_registry.names import is_digest

_DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_TIMEOUT_SECONDS = 600
"""A daemon writes a whole image to its disk before it says a word."""
_CHUNK_BYTES = 1 << 20
_REACH_SECONDS = 5.0
log = logging.getLogger(__name__)


@attrs.frozen
class Image:
    """An image as the daemon knows it."""

    id: str
    platform: Platform
    diff_ids: tuple[str, ...]
    tags: tuple[str, ...]


@attrs.frozen
class Docker:
    """The daemon that `environ` names, as the `docker` command would find it."""

    environ: Mapping[str, str] = attrs.field(repr=False)

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.environ.get("DOCKER_HOST") or _DEFAULT_ADDRESS

    def ping(self) -> None:
        """Raise `Unavailable` when it does not answer."""
        with self._asked():
            return

    def find(self, name: str) -> Image | None:
        """Look for an image by name and tag, name and digest, or identity."""
        with self._asked() as client:
            try:
                return _image(client.inspect_image(name))
            except _not_found():
                return None

    def tags(self, repository: str) -> tuple[str, ...]:
        """Give the tags of a repository."""
        with self._asked() as client:
            found = [name for image in client.images(repository) for name in image.get("RepoTags") or ()]
        own = familiar(repository)
        return tuple(name.rpartition(":")[2] for name in found if name.rpartition(":")[0] == own)

    def pull(self, repository: str, reference: str, platform: Platform | None) -> None:
        """Let the daemon pull an image with whatever logins Docker has here; its progress is logged."""
        name = whole_name(repository, reference)
        wanted = str(platform) if platform else None
        with self._asked(lambda message, _: unpulled(message, repository, name)) as client:
            source = (name, None) if is_digest(reference) else (repository, reference)
            for line in client.pull(*source, stream=True, decode=True, platform=wanted):
                if error := line.get("error"):
                    raise unpulled(str(error), repository, name)
                if "progressDetail" not in line or not line["progressDetail"]:
                    log.info("docker pull %s: %s %s", name, line.get("id", ""), line.get("status", ""))

    def save(self, image: str) -> Generator[bytes]:
        """Give the archive of an image; whoever does not read it to its end closes it."""
        with self._asked() as client:
            yield from client.get_image(image, chunk_size=_CHUNK_BYTES)

    def load(self, archive: Iterator[bytes]) -> None:
        """Give the daemon an archive: it keeps all of it or nothing."""
        with self._asked() as client:
            for line in client.load_image(archive):
                if error := line.get("error"):
                    raise refused(str(error), 0, self.address)

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Point a tag at an image."""
        with self._asked() as client:
            client.tag(image, repository, tag, force=True)

    def remove(self, name: str) -> None:
        """Remove a tag, and the image with its last one; layers that others need stay."""
        with self._asked() as client:
            client.remove_image(name, noprune=True)

    @contextmanager
    def _asked(self, translate: Any = None) -> Iterator[Any]:
        """Connect; turn what docker-py raises into our errors."""
        from docker.errors import APIError, DockerException
        from urllib3.exceptions import HTTPError

        turn = translate or (lambda message, status: refused(message, status, self.address))
        try:
            with ExitStack() as held:
                client = held.enter_context(closing(self._connect()))
                client.hooks["response"].append(_closing(held))
                yield client
        except APIError as failure:
            raise turn(str(failure.explanation or failure), failure.status_code or 0) from failure
        except (DockerException, HTTPError, ConnectionError, TimeoutError) as failure:
            raise silent(self.address, failure) from failure
        except OSError as failure:
            # requests' own errors are of this kind, and so are those of the spool
            if type(failure).__module__.partition(".")[0] != "requests":
                raise
            raise silent(self.address, failure) from failure

    def _connect(self) -> Any:  # docker-py is half typed
        from docker import APIClient
        from docker.utils import kwargs_from_env

        _reach(self.address)
        known = kwargs_from_env(environment=dict(self.environ))
        client = APIClient(version="auto", timeout=_TIMEOUT_SECONDS, **known)
        if folder := self.environ.get("DOCKER_CONFIG"):
            client.reload_config(f"{folder}/config.json")
        return client


def _reach(address: str) -> None:
    """Fail at once, and plainly, where nobody listens: docker-py would leave a socket open."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_REACH_SECONDS)
            try:
                probe.connect(address.removeprefix("unix://"))
            except BlockingIOError:
                return  # it listens, and many ask
            except OSError as failure:
                raise silent(address, failure.strerror or failure) from failure


def _closing(held: ExitStack) -> Callable[..., None]:
    """A client does not close what was not read to its end."""

    def hook(response: Any, *_: Any, **__: Any) -> None:
        held.callback(response.close)

    return hook


def _image(found: Mapping[str, Any]) -> Image:
    return Image(
        id=found["Id"],
        platform=Platform(*(str(found.get(key) or "") for key in ("Os", "Architecture", "Variant"))),
        diff_ids=tuple((found.get("RootFS") or {}).get("Layers") or ()),
        tags=tuple(found.get("RepoTags") or ()),
    )


def _not_found() -> type[Exception]:
    from docker.errors import NotFound as Absent

    return Absent
