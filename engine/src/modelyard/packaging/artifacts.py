"""Models and code as OCI artifacts, and models back from them.

A model has one layer a file, titled as ORAS does, so it is restored blob by blob and no archive is
ever opened. Code is one tar layer, as images want it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from pathlib import Path, PurePosixPath

import attrs

from modelyard.api import Artifact, Descriptor, ModelRef, Registry, SnapshotError, SystemError_
from modelyard.packaging.modeltrees import blob_path, has_blob, lay_out, new_blob
from modelyard.packaging.snapshots import FileEntry, Snapshot, hex_of, snapshot_of
from modelyard.packaging.tars import write_tar

MODEL_TYPE = "application/vnd.modelyard.model.v1"
CODE_TYPE = "application/vnd.modelyard.code.v1"
FILE_MEDIA_TYPE = "application/octet-stream"
TAR_MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"
TITLE = "org.opencontainers.image.title"
SNAPSHOT_ANNOTATION = "dev.modelyard.snapshot"
_REPOSITORY_PART = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_NAME_DIGITS = 8
_FILES_AT_ONCE = 8
"""A registry over a network answers many small files at once as fast as one; its client bounds its uploads."""


async def store_models(registry: Registry, ref: ModelRef, snapshot: Snapshot, root: Path) -> Descriptor:
    """Store one model, whose contents `materialise_models` put under `root`, as `models/<name>:<version>`."""
    repository = model_repository(ref.name)
    turn = asyncio.Semaphore(_FILES_AT_ONCE)

    async def push(entry: FileEntry) -> Descriptor:
        async with turn:
            return await _push_file(registry, repository, entry, root)

    pushing = [asyncio.ensure_future(push(entry)) for entry in snapshot.files]
    try:
        layers = await asyncio.gather(*pushing)
    finally:
        # after a failure the others are of no use
        for one in pushing:
            one.cancel()
    artifact = Artifact(MODEL_TYPE, tuple(layers), {TITLE: ref.name, SNAPSHOT_ANNOTATION: snapshot.digest})
    return await registry.push(repository, artifact, tag=ref.version)


async def store_code(
    registry: Registry, service: str, revision: int, snapshot: Snapshot, tree: Path
) -> Descriptor:
    """Store a code tree that `materialise` made as `code/<service>:<revision>`, one tar layer."""
    repository = f"code/{service}"
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix=".tar-") as folder:
        archive = Path(folder) / "code.tar"
        await asyncio.to_thread(write_tar, tree, snapshot, archive)
        layer = await registry.push_blob(repository, archive, TAR_MEDIA_TYPE)
    layer = attrs.evolve(layer, annotations={TITLE: "code.tar"})
    artifact = Artifact(CODE_TYPE, (layer,), {SNAPSHOT_ANNOTATION: snapshot.digest})
    return await registry.push(repository, artifact, tag=str(revision))


async def restore_models(registry: Registry, repository: str, reference: str, root: Path, into: Path) -> Path:
    """Bring a stored model back to `<into>/<hex of its snapshot>/`, each content checked by its digest."""
    artifact = await registry.pull(repository, reference)
    snapshot = snapshot_of(_entry(layer, f"{repository}:{reference}") for layer in artifact.layers)
    for entry in snapshot.files:
        if not has_blob(root, entry):
            await _pull_file(registry, repository, entry, root)
    folder = into / hex_of(snapshot.digest)
    await asyncio.to_thread(lay_out, [(entry.path, entry) for entry in snapshot.files], root, folder)
    return folder


def model_repository(name: str) -> str:
    """Give the repository of a model; names that repositories cannot spell get a part of their hash."""
    if _REPOSITORY_PART.fullmatch(name):
        return f"models/{name}"
    plain = "-".join(re.findall(r"[a-z0-9]+", name.lower())) or "model"
    return f"models/{plain}-{hashlib.sha256(name.encode()).hexdigest()[:_NAME_DIGITS]}"


async def _push_file(registry: Registry, repository: str, entry: FileEntry, root: Path) -> Descriptor:
    layer = await registry.push_blob(repository, blob_path(root, entry.digest), FILE_MEDIA_TYPE)
    if layer.digest != entry.digest:
        raise SystemError_(
            "a stored model file is damaged",
            place=str(blob_path(root, entry.digest)),
            remedy="remove that file and deploy again",
        )
    return attrs.evolve(layer, annotations={TITLE: entry.path})


async def _pull_file(registry: Registry, repository: str, entry: FileEntry, root: Path) -> None:
    hasher = hashlib.sha256()
    with new_blob(root, entry.digest) as blob:
        async for chunk in registry.read_blob(repository, entry.digest):
            hasher.update(chunk)
            await asyncio.to_thread(blob.write, chunk)
        if hasher.hexdigest() != hex_of(entry.digest):
            raise SystemError_(
                "the registry gave wrong bytes",
                place=f"{repository}@{entry.digest}",
                remedy="push the model again",
            )


def _entry(layer: Descriptor, place: str) -> FileEntry:
    title = layer.annotations.get(TITLE, "")
    parts = PurePosixPath(title).parts
    if (
        not title.isprintable()
        or not parts
        or "/" in parts
        or ".." in parts
        or str(PurePosixPath(title)) != title
    ):
        raise SnapshotError(
            f"a layer is titled {title!r}, which is no path inside a folder",
            place=place,
            remedy="push the model again with file titles",
        )
    hex_of(layer.digest)
    return FileEntry(title, layer.size, 0o644, layer.digest)
