"""Snapshots: what a folder held at one moment, as values. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import attrs

DIGEST_PREFIX = "sha256:"
_FORMAT = "modelyard-snapshot-1"


@attrs.frozen
class FileEntry:
    """One file: `path` relative with `/`, `mode` 0o644 or 0o755, `digest` of its bytes (`sha256:<hex>`)."""

    path: str
    size: int
    mode: int
    digest: str


@attrs.frozen
class Snapshot:
    """A folder's files, sorted by path; the same content has the same `digest` wherever it lies.

    `left_out` names what the ignore file kept out (folders end in `/`); `ignore_file` which one ruled.
    """

    digest: str
    files: tuple[FileEntry, ...]
    total_bytes: int
    left_out: tuple[str, ...] = ()
    ignore_file: str = ""

    def holds(self, path: str) -> bool:
        """Say whether a file of that path (relative, with `/`) is in."""
        return any(entry.path == path for entry in self.files)


def snapshot_of(
    files: Iterable[FileEntry], *, left_out: tuple[str, ...] = (), ignore_file: str = ""
) -> Snapshot:
    """Name a set of files by their content; what was left out does not change the name."""
    entries = tuple(sorted(files, key=lambda entry: entry.path))
    lines = [_FORMAT, *(json.dumps([e.path, e.mode, e.size, e.digest]) for e in entries)]
    digest = DIGEST_PREFIX + hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return Snapshot(digest, entries, sum(entry.size for entry in entries), left_out, ignore_file)


def hex_of(digest: str) -> str:
    """Give a digest's hexadecimal part, which is safe as a file name."""
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or len(value) != hashlib.sha256().digest_size * 2 or not _is_hex(value):
        msg = f"not a sha256 digest: {digest!r}"
        raise ValueError(msg)
    return value


def _is_hex(value: str) -> bool:
    return all(character in "0123456789abcdef" for character in value)
