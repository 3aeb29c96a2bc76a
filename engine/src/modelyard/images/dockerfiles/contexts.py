"""Pack the folder that steps may COPY from: for the daemon as a tar, for BuildKit's command as a folder.

The same folder gives the same bytes. Links that leave it, devices and what changes while it is read are refused.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
from pathlib import Path
from typing import IO

from modelyard.api import SnapshotError, SnapshotLimits
from modelyard.images.dockerfiles.ignoring import FILE, ContextRules, compile_context_rules
from modelyard.packaging.ignoring import MAX_IGNORE_BYTES
from modelyard.packaging.opening import CHUNK_BYTES, changed, open_file, open_folder
from modelyard.packaging.walking import Found, LeftOut, walk
from modelyard.processes import disk_errors

DOCKERFILE = ".modelyard.Dockerfile"
"""The name of the Dockerfile in a packed context; no step sees it."""
LIMITS = SnapshotLimits(max_bytes=20_000_000_000, max_files=200_000)
"""A context is sent to a daemon of this machine: these stop a mistake, as the root folder, not a large model."""


def pack_context(
    folder: Path | None, dockerfile: str, destination: Path, limits: SnapshotLimits = LIMITS
) -> None:
    """Write the tar that a build through the API reads. Raises `SnapshotError`."""
    with disk_errors(destination), destination.open("wb") as output:
        if folder is not None:
            with open_folder(folder) as root:
                for found in _listed(root, limits):
                    _add(root, found, output)
        # the daemon leaves out of the context what this names, among it the Dockerfile that it has read
        _write(FILE, f"{DOCKERFILE}\n{FILE}\n".encode(), output)
        _write(DOCKERFILE, dockerfile.encode(), output)
        output.write(bytes(2 * tarfile.BLOCKSIZE))


def lay_out_context(folder: Path | None, destination: Path, limits: SnapshotLimits = LIMITS) -> None:
    """Copy the context into a new folder, which nobody else writes to. Raises `SnapshotError`."""
    with disk_errors(destination):
        destination.mkdir()
        if folder is None:
            return
        with open_folder(folder) as root:
            for found in _listed(root, limits):
                _copy(root, found, destination / found.path)


def _listed(root: int, limits: SnapshotLimits) -> list[Found]:
    found: list[Found] = []
    total = 0
    for entry in walk(root, _rules(root, limits)):
        if isinstance(entry, LeftOut) or entry.path in (FILE, DOCKERFILE):
            continue
        found.append(entry)
        total += entry.size
        if len(found) > limits.max_files or total > limits.max_bytes:
            raise SnapshotError(
                f"the build context has over {limits.max_files} files or {limits.max_bytes} bytes",
                remedy=f"list in {FILE} what no step copies, or name a smaller folder",
            )
    return found


def _rules(root: int, limits: SnapshotLimits) -> ContextRules:
    with contextlib.suppress(FileNotFoundError):
        os.lstat(FILE, dir_fd=root)
        with open_file(root, FILE) as file:
            if os.fstat(file.fileno()).st_size > MAX_IGNORE_BYTES:
                raise SnapshotError(
                    f"the ignore file is larger than {MAX_IGNORE_BYTES} bytes",
                    place=FILE,
                    remedy="shorten it",
                )
            return compile_context_rules(file.read(MAX_IGNORE_BYTES), limits)
    return ContextRules()


def _add(root: int, found: Found, output: IO[bytes]) -> None:
    output.write(_header(found.path, found.size, executable=found.executable))
    _pass_on(root, found, output)
    output.write(bytes(-found.size % tarfile.BLOCKSIZE))


def _copy(root: int, found: Found, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    with destination.open("xb") as copy:
        _pass_on(root, found, copy)
    destination.chmod(0o755 if found.executable else 0o644)


def _pass_on(root: int, found: Found, output: IO[bytes]) -> None:
    left = found.size
    with open_file(root, found.origin) as file:
        while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            output.write(chunk)
        if left or file.read(1):
            raise changed(found.path)


def _write(name: str, content: bytes, output: IO[bytes]) -> None:
    output.write(_header(name, len(content)))
    output.write(content)
    output.write(bytes(-len(content) % tarfile.BLOCKSIZE))


def _header(path: str, size: int, *, executable: bool = False) -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mode = size, 0o755 if executable else 0o644
    return info.tobuf(format=tarfile.PAX_FORMAT, encoding="utf-8", errors="strict")
