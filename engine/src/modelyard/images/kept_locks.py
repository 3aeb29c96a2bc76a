"""The locks of an image's environments, kept under its key: whoever has an image finds what is in it.

They lie beside the records of what was solved (repository `environments`): those stand under the key of what
was asked for and change when it is solved again, these never change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from modelyard.api import Artifact, NotFound, PipLayer, Registry
from modelyard.environments import LOCKS, parse_conda_lock, parse_pins
from modelyard.images.places import CONDA

_TYPE = "application/vnd.modelyard.image.locks.v1"
_LOCK_TYPE = "application/vnd.modelyard.environment.lock.v1+text"
_CONDA_TYPE = "application/vnd.modelyard.environment.conda-lock.v1+jsonl"
_PREFIX = "dev.modelyard.prefix"
_PACKAGES = "dev.modelyard.packages"


async def keep_locks(registry: Registry, key: str, pips: Sequence[PipLayer], *, conda: str = "") -> None:
    """Keep the locks that an image of this key is made of, unless they are kept already.

    `conda` is the canonical text of a conda lock; empty where there is none.
    """
    try:
        await registry.resolve(LOCKS, key)
    except NotFound:
        pass
    else:
        return
    layers = []
    for pip in pips:
        blob = await registry.push_blob(LOCKS, pip.lock.encode(), _LOCK_TYPE)
        layers.append(attrs.evolve(blob, annotations={_PREFIX: str(pip.prefix)}))
    count = sum(len(parse_pins(pip.lock)) for pip in pips)
    if conda:
        blob = await registry.push_blob(LOCKS, conda.encode(), _CONDA_TYPE)
        layers.append(attrs.evolve(blob, annotations={_PREFIX: str(CONDA)}))
        count += len(parse_conda_lock(conda, spec_key="").packages)
    await registry.push(LOCKS, Artifact(_TYPE, tuple(layers), {_PACKAGES: str(count)}), tag=key)


async def kept_locks(registry: Registry, key: str) -> Mapping[str, str]:
    """Give the lock of each environment, by its prefix; empty where none is kept."""
    record = await _record(registry, key)
    found = {}
    for layer in record.layers if record else ():
        chunks = [chunk async for chunk in registry.read_blob(LOCKS, layer.digest)]
        found[layer.annotations.get(_PREFIX, "")] = b"".join(chunks).decode()
    return found


async def count_packages(registry: Registry, key: str) -> int | None:
    """Say how many packages an image of this key has; None where its locks are not kept."""
    record = await _record(registry, key)
    told = record.annotations.get(_PACKAGES, "") if record else ""
    return int(told) if told.isdecimal() else None


async def copy_locks(key: str, source: Registry, target: Registry) -> None:
    """Take the locks of an image along to another registry."""
    record = await _record(source, key)
    if record is None:
        return
    for layer in record.layers:
        chunks = [chunk async for chunk in source.read_blob(LOCKS, layer.digest)]
        await target.push_blob(LOCKS, b"".join(chunks), layer.media_type)
    await target.push(LOCKS, record, tag=key)


async def _record(registry: Registry, key: str) -> Artifact | None:
    try:
        record = await registry.pull(LOCKS, key)
    except NotFound:
        return None
    return record if record.artifact_type == _TYPE else None
