"""Model trees on disk: contents once, by digest, and hard links to them laid out as v1's scripts expect.

`<root>/blobs/<hex>` holds contents; `<into>/<hex>` is the application root of one set of models, with
`azureml-models/<name>/<version>/<only entry>` below: the file, or the folder under its own name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from modelyard.api import MODELS_FOLDER, ModelRef
from modelyard.packaging.opening import cannot_write, copy_verified, open_file, open_folder
from modelyard.packaging.snapshots import FileEntry, Snapshot, hex_of
from modelyard.packaging.staging import move_into_place, staging
from modelyard.packaging.taking import split_model

_BLOB_MODE = 0o444


def materialise_models(
    models: Sequence[tuple[ModelRef, Snapshot]], root: Path, into: Path
) -> tuple[str, str]:
    """Lay out a service's models; return the application root and the value of AZUREML_MODEL_DIR.

    One model: the value is `<root>/azureml-models/<name>/<version>`; several: `<root>/azureml-models`;
    none: both are empty. Idempotent. Raises `SnapshotError` when a model is no longer what its snapshot says.
    """
    if not models:
        return "", ""
    for ref, snapshot in models:
        store_blobs(ref, snapshot, root)
    folder = into / _set_digest(models)
    lay_out([link for ref, snapshot in models for link in _links(ref, snapshot)], root, folder)
    shown = models[0][0].folder if len(models) == 1 else MODELS_FOLDER
    return str(folder), str(folder / shown)


def blob_path(root: Path, digest: str) -> Path:
    """Say where the content of that digest lies."""
    return root / "blobs" / hex_of(digest)


def store_blobs(ref: ModelRef, snapshot: Snapshot, root: Path) -> None:
    """Copy a model's contents to the store, verified; what is there already is not read again."""
    folder, _ = split_model(Path(ref.path))
    with open_folder(folder) as source:
        for entry in snapshot.files:
            if not has_blob(root, entry):
                with open_file(source, entry.path) as file, new_blob(root, entry.digest) as blob:
                    copy_verified(file, entry, blob.write)


def has_blob(root: Path, entry: FileEntry) -> bool:
    """Say whether the content is there, whole."""
    blob = blob_path(root, entry.digest)
    return blob.is_file() and blob.stat().st_size == entry.size


@contextlib.contextmanager
def new_blob(root: Path, digest: str) -> Iterator[IO[bytes]]:
    """Give a file to write a content to; on success it is synced and renamed into the store."""
    final = blob_path(root, digest)
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.NamedTemporaryFile(dir=final.parent, prefix=".new-", delete=False) as file:
            temporary = Path(file.name)
            try:
                yield file
                file.flush()
                os.fchmod(file.fileno(), _BLOB_MODE)
                os.fsync(file.fileno())
                temporary.replace(final)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise cannot_write(final, error) from error


def lay_out(links: Sequence[tuple[str, FileEntry]], root: Path, folder: Path) -> None:
    """Link stored contents to their paths below `folder`; whole or absent, and mended when damaged."""
    if all(_is_whole(folder / path, entry) for path, entry in links):
        return
    try:
        with staging(folder.parent) as stage:
            tree = stage / "tree"
            for path, entry in links:
                _link(blob_path(root, entry.digest), tree / path)
            if not move_into_place(tree, folder):
                _mend(tree, folder, links)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _mend(tree: Path, folder: Path, links: Sequence[tuple[str, FileEntry]]) -> None:
    for path, entry in links:
        if not _is_whole(folder / path, entry):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).replace(folder / path)


def _is_whole(path: Path, entry: FileEntry) -> bool:
    return path.is_file() and path.stat().st_size == entry.size


def _link(blob: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(blob, path)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        shutil.copyfile(blob, path)  # another file system, or one without hard links
        path.chmod(_BLOB_MODE)


def _links(ref: ModelRef, snapshot: Snapshot) -> list[tuple[str, FileEntry]]:
    """Place a file in the version's folder under the name that the user gave, a folder's files one deeper."""
    top = f"{ref.folder}/{_entry_name(ref)}"
    _, file = split_model(Path(ref.path))
    if file:
        return [(top, entry) for entry in snapshot.files]
    return [(f"{top}/{entry.path}", entry) for entry in snapshot.files]


def _entry_name(ref: ModelRef) -> str:
    return Path(ref.path).name or ref.name


def _set_digest(models: Sequence[tuple[ModelRef, Snapshot]]) -> str:
    lines = sorted((ref.folder, _entry_name(ref), snapshot.digest) for ref, snapshot in models)
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()
