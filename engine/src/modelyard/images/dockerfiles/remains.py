"""What a build has in the daemon, noted on disk so that the next one removes it when the build died.

Each build holds a lock named by its identity; the kernel lets go of it when the build dies. Its image is named
by the identity as well, and the containers of its steps are written down beside the lock. The note of a dead
build is kept for a day: BuildKit's command may outlive it for a while, and finish the image.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from modelyard.api import Conflict, ModelyardError
from modelyard.containers.building import BuildDaemon
from modelyard.processes import FileLock, disk_errors

BUILDS = "modelyard-build"
"""The repository, in the daemon, of images that are being built; tags are identities of builds."""
KEPT_SECONDS = 86_400
log = logging.getLogger(__name__)


@attrs.frozen
class Remains:
    """Of one build: its identity and the folder where that is noted."""

    folder: Path
    identity: str

    @property
    def image(self) -> str:
        """The name of the build's image in the daemon."""
        return f"{BUILDS}:{self.identity}"

    @property
    def lock(self) -> Path:
        """Held while the build lives."""
        return self.folder / f"{self.identity}.lock"

    @property
    def containers(self) -> Path:
        """One identity of a container a line."""
        return self.folder / f"{self.identity}.containers"

    def note(self, container: str) -> None:
        """Write a container down."""
        with disk_errors(self.containers), self.containers.open("a") as file:
            file.write(f"{container}\n")

    @property
    def began(self) -> int:
        """When, in Unix seconds; 0 = its name does not tell."""
        seconds = self.identity.partition("-")[0]
        return int(seconds) if seconds.isdecimal() else 0

    def remove(self, daemon: BuildDaemon) -> None:
        """Remove all of it from the daemon. Raises errors of the tree."""
        with contextlib.suppress(FileNotFoundError):
            for container in self.containers.read_text(encoding="ascii").split():
                daemon.remove_container(container)
        daemon.remove_image(self.image)

    def forget(self) -> None:
        """Remove the note."""
        self.containers.unlink(missing_ok=True)
        self.lock.unlink(missing_ok=True)


@contextlib.contextmanager
def begin(folder: Path) -> Iterator[Remains]:
    """Note a build that begins here; the note stays until it is forgotten."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    remains = Remains(folder, f"{int(time.time())}-{secrets.token_hex(8)}")
    with FileLock(remains.lock):
        yield remains


def sweep(folder: Path, daemon: BuildDaemon) -> None:
    """Remove what dead builds left in the daemon; what it will not let go of is tried the next time."""
    for lock in sorted(folder.glob("*.lock")):
        remains = Remains(folder, lock.stem)
        try:
            with FileLock(lock, timeout_seconds=0):
                remains.remove(daemon)
                if remains.began < time.time() - KEPT_SECONDS:
                    remains.forget()
        except Conflict:
            continue  # it lives
        except ModelyardError as failure:
            log.warning("what a dead build left in Docker was not removed: %s", failure)
