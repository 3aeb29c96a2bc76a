"""Take a snapshot: walk, hold the limits against what was found, then hash."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from modelyard.api import SnapshotError, SnapshotLimits
from modelyard.packaging.digests import Digests, identity
from modelyard.packaging.ignoring import IGNORE_FILES, MAX_IGNORE_BYTES, IgnoreRules, compile_rules
from modelyard.packaging.opening import CHUNK_BYTES, changed, open_file, open_folder
from modelyard.packaging.snapshots import DIGEST_PREFIX, FileEntry, Snapshot, snapshot_of
from modelyard.packaging.walking import Found, LeftOut, walk

_LEFT_OUT_SHOWN = 1_000
_GIVE_UP_FACTOR = 10  # a folder this many times over the limit is refused without counting the rest


class _Everything:
    """The rules of a model: nothing is left out."""

    def leave_out(self, path: str, *, is_folder: bool) -> bool:  # noqa: ARG002  a Protocol's signature
        return False


def take_snapshot(source: Path, limits: SnapshotLimits, *, digests: Digests | None = None) -> Snapshot:
    """Describe a project folder by content, honouring its ignore file and the limits.

    What `digests` knows is not read again.
    Raises `SnapshotError` that names the path and the remedy. Sizes are checked before anything is read.
    """
    with open_folder(source) as root:
        rules = _rules(root, limits)
        found, left_out = _listed(root, rules, limits)
        _check_limits(found, limits)
        files = [_hashed(root, file, digests, keep_mode=True) for file in found]
    return snapshot_of(files, left_out=_shown(left_out), ignore_file=rules.name)


def take_model(path: Path, *, digests: Digests | None = None) -> Snapshot:
    """Describe a model: a file (as a folder that holds just it) or a folder with all it holds.

    What `digests` knows is not read again.
    """
    folder, name = split_model(path)
    with open_folder(folder) as root:
        if name:
            files = [_hashed(root, _one_file(root, name), digests, keep_mode=False)]
        else:
            found = [f for f in walk(root, _Everything()) if isinstance(f, Found)]
            files = [_hashed(root, file, digests, keep_mode=False) for file in found]
    if not files:
        raise SnapshotError("the model folder is empty", place=str(path), remedy="name the folder with files")
    return snapshot_of(files)


def split_model(path: Path) -> tuple[Path, str]:
    """Give the folder that a model's files are relative to, and the file's name if it is one file."""
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SnapshotError(
            "the model does not exist", place=str(path), remedy="correct models[].path"
        ) from error
    return (resolved, "") if resolved.is_dir() else (resolved.parent, resolved.name)


def _one_file(root: int, name: str) -> Found:
    with open_file(root, name) as file:
        return Found(name, name, os.fstat(file.fileno()).st_size, executable=False)


def _rules(root: int, limits: SnapshotLimits) -> IgnoreRules:
    for name in IGNORE_FILES:
        with contextlib.suppress(FileNotFoundError):
            os.lstat(name, dir_fd=root)
            return compile_rules(name, _ignore_text(root, name), limits)
    return IgnoreRules()


def _ignore_text(root: int, name: str) -> bytes:
    with open_file(root, name) as file:
        if os.fstat(file.fileno()).st_size > MAX_IGNORE_BYTES:
            raise SnapshotError(
                f"the ignore file is larger than {MAX_IGNORE_BYTES} bytes", place=name, remedy="shorten it"
            )
        return file.read(MAX_IGNORE_BYTES)


def _listed(root: int, rules: IgnoreRules, limits: SnapshotLimits) -> tuple[list[Found], list[str]]:
    found: list[Found] = []
    left_out: list[str] = []
    for entry in walk(root, rules):
        if isinstance(entry, LeftOut):
            left_out.append(entry.path)
            continue
        found.append(entry)
        if len(found) > limits.max_files * _GIVE_UP_FACTOR:
            break
    return found, left_out


def _check_limits(found: Sequence[Found], limits: SnapshotLimits) -> None:
    if len(found) > limits.max_files:
        many = Counter(file.path.rpartition("/")[0] or "." for file in found).most_common(3)
        raise _too_much(
            f"the folder has {len(found)} files or more; {limits.max_files} are allowed",
            ", ".join(f"{folder} ({count} files)" for folder, count in many),
            "snapshot.max_files",
        )
    total = sum(file.size for file in found)
    if total > limits.max_bytes:
        biggest = sorted(found, key=lambda file: (-file.size, file.path))[:3]
        raise _too_much(
            f"the folder holds {total} bytes; {limits.max_bytes} are allowed",
            ", ".join(f"{file.path} ({file.size} bytes)" for file in biggest),
            "snapshot.max_bytes",
        )


def _too_much(message: str, biggest: str, setting: str) -> SnapshotError:
    return SnapshotError(
        f"{message}; most is in {biggest}",
        remedy=f"list what the service does not need in .amlignore, or raise {setting} in settings.yaml",
    )


def _hashed(root: int, found: Found, digests: Digests | None, *, keep_mode: bool) -> FileEntry:
    with open_file(root, found.origin) as file:
        facts = os.fstat(file.fileno())
        digest = digests.find(facts) if digests is not None and facts.st_size == found.size else None
        if digest is None:
            digest = _digest(file, found, facts)
            if digests is not None:
                digests.keep(facts, digest)
    mode = 0o755 if keep_mode and facts.st_mode & stat.S_IXUSR else 0o644
    return FileEntry(found.path, found.size, mode, digest)


def _digest(file: IO[bytes], found: Found, before: os.stat_result) -> str:
    hasher, size = hashlib.sha256(), 0
    while size <= found.size and (chunk := file.read(CHUNK_BYTES)):
        size += len(chunk)
        hasher.update(chunk)
    if size != found.size or identity(before) != identity(os.fstat(file.fileno())):
        raise changed(found.path)
    return DIGEST_PREFIX + hasher.hexdigest()


def _shown(left_out: Iterable[str]) -> tuple[str, ...]:
    names = sorted(left_out)
    if len(names) <= _LEFT_OUT_SHOWN:
        return tuple(names)
    return (*names[:_LEFT_OUT_SHOWN], f"... and {len(names) - _LEFT_OUT_SHOWN} more")
