"""The folder: blobs by digest, the index, and the lock that its writers take.

Synchronous file work. A file appears under its name whole or not at all: written beside, forced to disk,
renamed. `index.json` is only ever replaced under the lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
from modelyard.api import Unavailable

from modelyard_registry.errors import damaged_layout
from modelyard_registry.layout import index as indexes
from modelyard_registry.layout.index import Index

CHUNK_BYTES = 1024 * 1024
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
LOCK_WAIT_SECONDS = 30.0
"""The lock is held for milliseconds; a holder that outlasts this hangs."""
_LOCK_POLL_SECONDS = 0.005


@attrs.frozen
class Layout:
    """One OCI image layout. `clock` gives Unix seconds: it decides how old a blob is."""

    root: Path
    clock: Callable[[], float] = time.time

    @property
    def index_file(self) -> Path:
        """What names the manifests."""
        return self.root / "index.json"

    @property
    def blobs(self) -> Path:
        """Every content under the hex digits of its digest."""
        return self.root / "blobs" / "sha256"

    def blob(self, digest: str) -> Path:
        """Say where a digest's content is; `digest` was checked."""
        return self.blobs / digest.removeprefix("sha256:")

    def create(self) -> None:
        """Make the folder and its files where they are missing; idempotent, index first, marker last."""
        # models are their owner's: nobody else may look inside
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.blobs.mkdir(parents=True, exist_ok=True)
        marker = self.root / "oci-layout"
        if marker.exists():
            return
        with self.lock():
            if not self.index_file.exists():
                self._replace(self.index_file, indexes.encode(Index()))
            self._replace(marker, LAYOUT)

    def read_index(self) -> Index:
        """Read the index; a folder that was never written to has an empty one.

        Somebody else may be making the folder meanwhile: the marker is looked for first, as it comes last.
        """
        try:
            marked = self._is_marked()
            try:
                return indexes.decode(self.index_file.read_bytes())
            except FileNotFoundError as failure:
                if not marked:
                    return Index()
                raise damaged_layout(self.index_file, "the file is missing") from failure
        except (ValueError, AttributeError) as failure:
            raise damaged_layout(self.index_file, str(failure)) from failure

    def _is_marked(self) -> bool:
        marker = self.root / "oci-layout"
        try:
            version = json.loads(marker.read_bytes()).get("imageLayoutVersion")
        except FileNotFoundError:
            return False
        if version != "1.0.0":
            raise damaged_layout(marker, "it is not an OCI layout of version 1.0.0")
        return True

    def write_index(self, index: Index) -> None:
        """Replace the index; only under `lock`."""
        self._replace(self.index_file, indexes.encode(index))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder against other writers, of this process and of others."""
        file = os.open(self.root / "index.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _acquire(file, self.root)
            yield
        finally:
            os.close(file)

    def is_whole(self, digest: str) -> bool:
        """Say whether the blob is there and has the bytes its name promises."""
        try:
            return self.digest_file(self.blob(digest)) == digest
        except FileNotFoundError:
            return False

    def renew(self, digest: str) -> bool:
        """Keep a blob from collection for another grace period; False = it is gone."""
        now = self.clock()
        try:
            with self.lock():
                os.utime(self.blob(digest), (now, now))
        except FileNotFoundError:
            return False
        return True

    def digest_file(self, source: Path) -> str:
        """Hash a file."""
        with source.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

    def store(self, chunks: Iterator[bytes]) -> tuple[str, int]:
        """Write a blob; give its digest and size."""
        hasher, size = hashlib.sha256(), 0
        with self._beside(self.blobs) as (file, temporary):
            for chunk in chunks:
                hasher.update(chunk)
                size += len(chunk)
                _write_all(file, chunk)
            os.fsync(file)
            digest, now = f"sha256:{hasher.hexdigest()}", self.clock()
            os.utime(temporary, (now, now))
            temporary.replace(self.blob(digest))
        _force(self.blobs)
        return digest, size

    def _replace(self, path: Path, content: bytes) -> None:
        with self._beside(path.parent) as (file, temporary):
            _write_all(file, content)
            os.fsync(file)
            temporary.replace(path)
        _force(path.parent)

    @contextmanager
    def _beside(self, folder: Path) -> Iterator[tuple[int, Path]]:
        # the leading dot tells collection that this is no blob but one on its way
        file, name = tempfile.mkstemp(prefix=".incoming-", dir=folder)
        temporary = Path(name)
        try:
            yield file, temporary
        finally:
            os.close(file)
            temporary.unlink(missing_ok=True)


def chunks_of(source: Path | bytes) -> Iterator[bytes]:
    """Give a source's bytes in pieces."""
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _acquire(file: int, root: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_LOCK_POLL_SECONDS)
    raise Unavailable(
        f"another process has held the registry's lock for {LOCK_WAIT_SECONDS:.0f} s",
        place=str(root / "index.lock"),
        remedy="find it (`fuser` on that file), end it and try again",
    )


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _force(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
