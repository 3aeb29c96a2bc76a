"""What images a registry has, what each is, and whose revisions use it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from modelyard.api import (
    ImageDetails,
    ImageEnvironment,
    ImageInputs,
    ImageKind,
    ImageLayer,
    ImagePackage,
    ImageSummary,
    ImageUnbuildable,
    NotFound,
    Registry,
    StoreDamaged,
    UserError,
)
from modelyard.environments import canonical, parse_conda_lock, parse_pins
from modelyard.images import (
    BASE_IMAGES,
    CONDA,
    ENGINES,
    ENVIRONMENT_IMAGES,
    SERVICES,
    Inside,
    Repository,
    Seen,
    below_of,
    count_packages,
    environments_of,
    inputs_of,
    kept_locks,
    key_of,
    parts_of,
    read_image,
)
from modelyard.images.attesting import packages_in, read_sboms
from modelyard.store import RevisionRecord

log = logging.getLogger(__name__)
_AT_ONCE = 8
_HEX = re.compile(r"[0-9a-f]{6,64}")
_BASE_NAME = "org.opencontainers.image.base.name"


@attrs.frozen
class Entry:
    """One tag of a registry and the image that it names."""

    kind: ImageKind
    repository: Repository
    tag: str
    seen: Seen

    @property
    def stands_on(self) -> frozenset[str]:
        """The keys of the bases below it that the engine made."""
        return below_of(self.seen.base)


async def entries_of(registry: Registry, services: Iterable[str]) -> list[Entry]:
    """Read every image of a registry that the engine knows repositories of. What is damaged is logged and left out."""
    turn = asyncio.Semaphore(_AT_ONCE)
    repositories = [(ImageKind.ENVIRONMENT, ENVIRONMENT_IMAGES), (ImageKind.BASE, BASE_IMAGES)]
    repositories += [(ImageKind.SERVICE, f"{SERVICES}/{name}") for name in sorted(set(services))]

    async def one(kind: ImageKind, repository: Repository, tag: str) -> Entry | None:
        async with turn:
            try:
                return Entry(kind, repository, tag, await read_image(repository, tag))
            except (NotFound, ImageUnbuildable) as failure:
                log.warning("%s:%s is passed over: %s", repository.name, tag, failure)
                return None

    found = [
        (kind, Repository(registry, name), tag)
        for kind, name in repositories
        for tag in await tags_of(registry, name)
    ]
    read = await asyncio.gather(*(one(*each) for each in found))
    return [entry for entry in read if entry is not None]


async def tags_of(registry: Registry, repository: str) -> tuple[str, ...]:
    """List a repository's tags; none where there is no such repository."""
    try:
        return await registry.list_tags(repository)
    except NotFound:
        return ()


async def engines_on(registry: Registry) -> Mapping[str, tuple[str, ...]]:
    """Say, by the key of an environment, which of the engine's own images in a registry stand on its image."""
    found: dict[str, tuple[str, ...]] = {}
    for tag in await tags_of(registry, ENGINES):
        try:
            key = key_of((await read_image(Repository(registry, ENGINES), tag)).base)
        except (NotFound, ImageUnbuildable) as failure:
            log.warning("%s:%s is passed over: %s", ENGINES, tag, failure)
            continue
        found[key] = (*found.get(key, ()), f"{ENGINES}:{tag}")
    return found


def users_of(
    entry: Entry,
    history: Sequence[RevisionRecord],
    engines: Mapping[str, tuple[str, ...]],
    above: Iterable[Entry] = (),
) -> tuple[str, ...]:
    """Name the revisions and the engine's own images that refer to an image.

    `above` has the environments' images, which stand on bases.
    """
    if entry.kind is ImageKind.BASE:
        on_it = [one for one in above if entry.tag in one.stands_on]
        return tuple(dict.fromkeys(user for one in on_it for user in users_of(one, history, engines)))
    own = engines.get(entry.tag, ()) if entry.kind is ImageKind.ENVIRONMENT else ()
    return (*(f"{one.service}:{one.number}" for one in history if _refers(one, entry)), *own)


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


async def find_entry(name: str, registry: Registry, history: Sequence[RevisionRecord]) -> Entry:
    """Find an image by what people call it. Raises `NotFound` with what there is."""
    service, _, number = name.partition(":")
    if any(one.service == service for one in history):
        return await _of_service(service, number, registry, history)
    for kind, repository in ((ImageKind.ENVIRONMENT, ENVIRONMENT_IMAGES), (ImageKind.BASE, BASE_IMAGES)):
        if tag := await find_key(name, registry, repository):
            place = Repository(registry, repository)
            return Entry(kind, place, tag, await read_image(place, tag))
    raise _unknown(name, registry)


async def find_key(beginning: str, registry: Registry, repository: str) -> str:
    """Give the one tag that begins so (six hex digits at least); empty when there is none."""
    if not _HEX.fullmatch(beginning):
        return ""
    fitting = [tag for tag in await tags_of(registry, repository) if tag.startswith(beginning)]
    if len(fitting) > 1:
        raise UserError(
            f"{len(fitting)} images begin with {beginning}: {', '.join(one[:16] for one in fitting)}",
            place=f"{registry.name}: {repository}",
            remedy="write more digits of the key",
        )
    return fitting[0] if fitting else ""


async def _of_service(
    service: str, number: str, registry: Registry, history: Sequence[RevisionRecord]
) -> Entry:
    mine = sorted((one for one in history if one.service == service), key=lambda one: one.number)
    serving = [one for one in mine if one.outcome == "serving"]
    chosen = [one for one in mine if str(one.number) == number] if number else (serving or mine)[-1:]
    if not chosen:
        there = ", ".join(str(one.number) for one in mine)
        raise NotFound(f"{service!r} has no revision {number!r}", remedy=f"revisions kept: {there}")
    revision = chosen[0]
    if revision.image is None:
        raise NotFound(
            f"revision {revision.number} of {service!r} has no image",
            place=service,
            remedy=f"it was made for the target {revision.spec.target!r}; `engine show {service}` tells more",
        )
    place = Repository(registry, revision.image.repository)
    seen = await read_image(place, revision.image.digest)
    return Entry(ImageKind.SERVICE, place, str(revision.number), seen)


def _refers(revision: RevisionRecord, entry: Entry) -> bool:
    digest = entry.seen.manifest.digest
    if entry.kind is ImageKind.ENVIRONMENT:
        # a revision whose image a plugin named has the image's digest in place of a key
        return revision.environment_key in (entry.tag, digest.removeprefix("sha256:"))
    if entry.repository.name != f"{SERVICES}/{revision.service}":
        return False
    return str(revision.number) == entry.tag or (
        revision.image is not None and revision.image.digest == digest
    )


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


def _unknown(name: str, registry: Registry) -> NotFound:
    return NotFound(
        f"there is no image {name!r}",
        place=registry.name,
        remedy="`engine images list` shows the keys and revisions that there are",
    )
