"""Find an image by what people call it: the beginning of its key, or a service and its revision."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modelyard.api import ImageKind, NotFound, Registry, UserError
from modelyard.controller.artifacts.entries import Entry, tags_of
from modelyard.images import BASE_IMAGES, ENVIRONMENT_IMAGES, Repository, read_image
from modelyard.store import RevisionRecord

_HEX = re.compile(r"[0-9a-f]{6,64}")


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


def _unknown(name: str, registry: Registry) -> NotFound:
    return NotFound(
        f"there is no image {name!r}",
        place=registry.name,
        remedy="`engine images list` shows the keys and revisions that there are",
    )
