"""Fetch locked packages: each is counted and hashed as it comes, and kept only if it is the one locked.

rattler checks no hash of what lies in a folder, and none of what it finds in its own cache: we do.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import attrs

from modelyard.api import EnvironmentUnsolvable, ModelyardError
from modelyard.environments.conda.channels import Channel
from modelyard.environments.conda.clients import client_for
from modelyard.environments.conda.explaining import is_away, unreachable
from modelyard.environments.conda.locks import CondaPackage
from modelyard.environments.solving import OnLine, tell
from modelyard.processes import FileLock, disk_errors

_AT_ONCE = 8
_TRIES = 3
_LOCK_SECONDS = 3600.0
_STALL_SECONDS = 60.0
"""A download from which nothing comes for so long is begun again."""
_CHUNK_BYTES = 1 << 20


async def fetch_packages(
    packages: Sequence[CondaPackage], channels: Sequence[Channel], folder: Path, on_line: OnLine | None
) -> dict[str, Path]:
    """Make every package lie below `folder`, which exists, and return the archives by package name.

    One caller at a time. Raises `EnvironmentUnsolvable` for a package that is not the one that was
    locked or is gone, `UserError` for credentials that are refused, `Unavailable` for a channel that is away.
    """
    async with _emptied(folder) as arriving:
        fetcher = _Fetcher(folder, arriving, channels, on_line)
        tasks = [asyncio.ensure_future(fetcher.fetch(one)) for one in packages]
        try:
            return dict(zip((one.name for one in packages), await asyncio.gather(*tasks), strict=True))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _emptied(folder: Path) -> AsyncIterator[Path]:
    """Give a folder for what is on its way; what a killed run left there is removed."""
    async with FileLock(folder / ".lock", timeout_seconds=_LOCK_SECONDS):
        arriving = folder / ".arriving"
        await asyncio.to_thread(shutil.rmtree, arriving, ignore_errors=True)
        with disk_errors(arriving):
            await asyncio.to_thread(arriving.mkdir)
        try:
            yield arriving
        finally:
            await asyncio.to_thread(shutil.rmtree, arriving, ignore_errors=True)


class _Fetcher:
    def __init__(
        self, folder: Path, arriving: Path, channels: Sequence[Channel], on_line: OnLine | None
    ) -> None:
        self._folder, self._arriving, self._channels = folder, arriving, channels
        self._client = client_for(channels)
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._on_line = on_line

    async def fetch(self, package: CondaPackage) -> Path:
        """Return where a package lies: kept from before, or fetched now."""
        kept = self._folder / package.sha256 / package.file
        async with self._turn:
            if not await asyncio.to_thread(_is_whole, kept, package):
                tell(self._on_line, f"fetching {package.shown} ({package.size} bytes)")
                with disk_errors(self._folder):
                    await self._arrive(package, kept)
        return kept

    async def _arrive(self, package: CondaPackage, kept: Path) -> None:
        handle, name = await asyncio.to_thread(tempfile.mkstemp, dir=self._arriving)
        with os.fdopen(handle, "wb") as file:
            await self._read(package, file)
        await asyncio.to_thread(_keep, Path(name), kept)

    async def _read(self, package: CondaPackage, file: BinaryIO) -> None:
        for attempt in range(1, _TRIES + 1):
            checked = _Checked(file, package)
            try:
                await self._stream(package, checked)
            except (RuntimeError, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # of this machine's disk; what rattler says of a network has no number
                if attempt == _TRIES or not is_away(str(error)):
                    raise self._explained(str(error)) from None
                tell(self._on_line, f"{package.shown} was cut off and is fetched again")
            else:
                return checked.finish()
        return None

    async def _stream(self, package: CondaPackage, checked: _Checked) -> None:
        from rattler.package_streaming import download_to_writer

        if package.url.startswith("file:"):
            path = Path(unquote(urlsplit(package.url).path))
            await asyncio.to_thread(_copy, path, checked, package)
        else:
            await _moving(download_to_writer(self._client, package.url, checked), checked)

    def _explained(self, said: str) -> ModelyardError:
        return unreachable(said, self._channels, self._folder)


async def _moving(stream: Coroutine[object, object, None], checked: _Checked) -> None:
    """Wait for a download as long as something comes."""
    task = asyncio.ensure_future(stream)
    try:
        while not task.done():
            before = checked.size
            await asyncio.wait({task}, timeout=_STALL_SECONDS)
            if not task.done() and checked.size == before:
                raise TimeoutError(f"timed out: nothing came for {_STALL_SECONDS:g} s")
        await task
    finally:
        task.cancel()


@attrs.define
class _Checked:
    """A file that counts and hashes what is written; it takes no more than the package has."""

    file: BinaryIO
    package: CondaPackage
    size: int = attrs.field(default=0, init=False)
    _hash: hashlib._Hash = attrs.field(factory=hashlib.sha256, init=False)

    def __attrs_post_init__(self) -> None:
        self.file.seek(0)
        self.file.truncate()

    def write(self, chunk: bytes) -> int:
        """Take the next bytes; rattler calls this from its own threads, one after the other."""
        self.size += len(chunk)
        if self.package.size and self.size > self.package.size:
            raise _replaced(self.package, f"it is larger than {self.package.size} bytes")
        self._hash.update(chunk)
        return self.file.write(chunk)

    def finish(self) -> None:
        """Raise `EnvironmentUnsolvable` unless it is the package that was locked."""
        if (found := self._hash.hexdigest()) != self.package.sha256:
            raise _replaced(self.package, f"its SHA-256 is {found}, not {self.package.sha256}")


def _replaced(package: CondaPackage, why: str) -> EnvironmentUnsolvable:
    return EnvironmentUnsolvable(
        f"{package.shown} is not the package that was locked: {why}",
        place=package.url,
        remedy="find out who replaced it on the channel; if rightly, solve the environment afresh",
    )


def _copy(path: Path, checked: _Checked, package: CondaPackage) -> None:
    try:
        file = path.open("rb")
    except OSError as error:
        raise EnvironmentUnsolvable(
            f"{package.shown} is not in its channel any more: {error.strerror}",
            place=str(path),
            remedy="put it back, or solve the environment afresh",
        ) from error
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            checked.write(chunk)


def _is_whole(kept: Path, package: CondaPackage) -> bool:
    try:
        with kept.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == package.sha256
    except FileNotFoundError:
        return False


def _keep(arrived: Path, kept: Path) -> None:
    kept.parent.mkdir(exist_ok=True)
    arrived.replace(kept)
