"""What `engine images list` and `show` tell: what each image is, what it was made from, what is in it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from modelyard.api import (
    ImageDetails,
    ImageEnvironment,
    ImageInputs,
    ImageKind,
    ImageLayer,
    ImagePackage,
    ImageSummary,
    ImageUnbuildable,
    Registry,
    StoreDamaged,
)
from modelyard.controller.artifacts.entries import Entry, engines_on, entries_of, users_of
from modelyard.controller.artifacts.finding import find_entry
from modelyard.environments import canonical, parse_conda_lock, parse_pins
from modelyard.images import (
    CONDA,
    Inside,
    Seen,
    count_packages,
    environments_of,
    inputs_of,
    kept_locks,
    key_of,
    parts_of,
)
from modelyard.images.attesting import packages_in, read_sboms
from modelyard.store import RevisionRecord

log = logging.getLogger(__name__)
_BASE_NAME = "org.opencontainers.image.base.name"


async def list_images(registry: Registry, history: Sequence[RevisionRecord]) -> tuple[ImageSummary, ...]:
    """Say what each image is."""
    entries = await entries_of(registry, (one.service for one in history))
    engines = await engines_on(registry)
    return tuple([await _summary(entry, history, engines, entries) for entry in entries])


async def show_image(
    name: str, registry: Registry, shared: Sequence[Registry], history: Sequence[RevisionRecord]
) -> ImageDetails:
    """Say everything of an image, by the beginning of its key, or by service and revision. Raises `NotFound`."""
    entry = await find_entry(name, registry, history)
    base, key = entry.seen.base, key_of(entry.seen.base)
    locks = await _locks(key, (registry, *shared))
    above = await entries_of(registry, ()) if entry.kind is ImageKind.BASE else ()
    address = registry.address(entry.repository.name)
    return ImageDetails(
        summary=await _summary(entry, history, await engines_on(registry), above),
        address=f"{address}@{entry.seen.manifest.digest}" if address else "",
        key=key,
        inputs=_inputs(entry),
        environments=(*_of_conda(locks), *(_environment(one, locks) for one in _inside(entry))),
        layers=tuple(
            ImageLayer(part, layer.digest, layer.size, layer.media_type)
            for part, layer in zip(parts_of(base), base.layers, strict=True)
        ),
        packages=await _packages(entry),
    )


async def _packages(entry: Entry) -> tuple[ImagePackage, ...]:
    """Read what an image's bills of materials name; one that is damaged names nothing."""
    try:
        bills = await read_sboms(entry.seen.manifest, entry.repository)
    except StoreDamaged as failure:
        log.warning("%s", failure)
        return ()
    return tuple(sorted({one for bill in bills for one in packages_in(bill)}))


async def _locks(key: str, registries: Iterable[Registry]) -> Mapping[str, str]:
    """Give the locks of an image's environments from the first registry that keeps them."""
    for registry in registries if key else ():
        if found := await kept_locks(registry, key):
            return found
    return {}


async def _summary(
    entry: Entry,
    history: Sequence[RevisionRecord],
    engines: Mapping[str, tuple[str, ...]],
    above: Iterable[Entry],
) -> ImageSummary:
    seen, registry = entry.seen, entry.repository.registry
    key, inputs = key_of(seen.base), inputs_of(seen.base)
    return ImageSummary(
        kind=entry.kind,
        registry=registry.name,
        repository=entry.repository.name,
        tag=entry.tag,
        digest=seen.manifest.digest,
        platform=str(seen.platform),
        base=(inputs.spec.base or "") if inputs else _label(seen, _BASE_NAME),
        pythons=tuple(one.python.version for one in _inside(entry)),
        packages=await count_packages(registry, key) if key else None,
        size_bytes=seen.size_bytes,
        used_by=users_of(entry, history, engines, above),
    )


def _inside(entry: Entry) -> tuple[Inside, ...]:
    try:
        return environments_of(entry.seen.base)
    except ImageUnbuildable:
        return ()  # a base, or an image of somebody else's


def _of_conda(locks: Mapping[str, str]) -> Iterator[ImageEnvironment]:
    if lock := locks.get(str(CONDA)):
        count = len(parse_conda_lock(lock, spec_key="").packages)
        yield ImageEnvironment(prefix=str(CONDA), python="", serving=False, packages=count, lock=lock)


def _environment(inside: Inside, locks: Mapping[str, str]) -> ImageEnvironment:
    lock = locks.get(str(inside.prefix))
    return ImageEnvironment(
        prefix=str(inside.prefix),
        python=inside.python.version,
        serving=inside.serving,
        packages=None if lock is None else len(parse_pins(lock)),
        lock=lock or "",
    )


def _inputs(entry: Entry) -> ImageInputs | None:
    found = inputs_of(entry.seen.base)
    if found is None:
        return None
    spec = found.spec
    return ImageInputs(
        platform=str(found.platform),
        base=spec.base or "",
        base_digest=found.base,
        python=spec.python or "",
        requirements=spec.requirements,
        docker_steps=spec.docker_steps,
        conda=canonical(spec.conda).decode() if spec.conda else "",
    )


def _label(seen: Seen, name: str) -> str:
    running = seen.base.config.get("config") or {}
    return str((running.get("Labels") or {}).get(name) or "")
