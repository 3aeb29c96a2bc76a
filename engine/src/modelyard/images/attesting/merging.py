"""Put what an image stands on into its own bill of materials: everything below is in it too. Pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from modelyard.images.attesting.bills import numbered

_STEP = "modelyard:docker-step"
_DOCKERFILE = "modelyard:dockerfile"
_UNREAD = "modelyard:unread-package-database"


def with_parts_of(bill: bytes, below: Iterable[bytes], *, unkept: Iterable[bytes] = ()) -> bytes:
    """Add the components of other bills, each once, and let the image need what their images needed.

    Each image below refers to its own bill, but for those of `unkept` bills, which lie in no registry.
    What is no CycloneDX of ours or of another tool is passed over: a bill says what is known.
    """
    document = json.loads(bill)
    for content in below:
        _try_to_add(document, content, kept=True)
    for content in unkept:
        _try_to_add(document, content, kept=False)
    return numbered(document)


def with_links_to(bill: bytes, below: Iterable[bytes]) -> bytes:
    """Let images below refer to their own bills, and take nothing over from those."""
    document = json.loads(bill)
    for content in below:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            _refer(document, json.loads(content))
    return numbered(document)


def with_origin(
    bill: bytes,
    *,
    steps: Iterable[str] = (),
    dockerfile: str = "",
    unread: Iterable[str] = (),
    known: bool = True,
) -> bytes:
    """Say how an image came about and where knowledge of it ends: no list of packages tells all that is there.

    `steps` and `dockerfile` are digests, `unread` databases of packages that nobody read; `known` False = no
    database was found at all.
    """
    document = json.loads(bill)
    root = document["metadata"]["component"]
    told = [(f"{_STEP}:{number}", digest) for number, digest in enumerate(steps, 1)]
    told += [(_DOCKERFILE, dockerfile)] if dockerfile else []
    told += [(_UNREAD, one) for one in unread]
    if told:
        root["properties"] = [{"name": name, "value": value} for name, value in told]
    aggregate = "incomplete" if known else "unknown"
    document["compositions"] = [{"aggregate": aggregate, "assemblies": [root["bom-ref"]]}]
    return numbered(document)


def _try_to_add(document: dict[str, Any], content: bytes, *, kept: bool) -> None:
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        other = json.loads(content)
        _add(document, other)
        if kept:
            _refer(document, other)


def _add(document: dict[str, Any], other: dict[str, Any]) -> None:
    parts = {one["bom-ref"]: one for one in other.get("components", ())}
    needs = {one["ref"]: list(one.get("dependsOn", ())) for one in other.get("dependencies", ())}
    known = {one["bom-ref"] for one in document.setdefault("components", [])}
    added = {ref: part for ref, part in parts.items() if ref not in known}
    root, image = document["metadata"]["component"]["bom-ref"], other["metadata"]["component"]
    below = [ref for ref in needs.pop(image["bom-ref"], []) if ref in parts]
    _need(document, root, below)
    if image["bom-ref"] in known:
        _need(document, image["bom-ref"], below)
    for ref in added:
        _need(document, ref, [one for one in needs.get(ref, ()) if one in parts])
    document["components"] = sorted(
        [*document["components"], *added.values()], key=lambda one: one["bom-ref"]
    )
    _take_over(document, image)
    _compose(document, other)


def _take_over(document: dict[str, Any], image: Mapping[str, Any]) -> None:
    """Keep what an image below says of itself with the component that it is here."""
    for one in document["components"]:
        if one["bom-ref"] == image["bom-ref"] and (properties := image.get("properties")):
            one["properties"] = properties


def _compose(document: dict[str, Any], other: dict[str, Any]) -> None:
    """Take over where other bills say that their knowledge ends."""
    refs = {one["bom-ref"] for one in document["components"]}
    ours = document.get("compositions", [])
    for one in other.get("compositions", ()):
        here = [ref for ref in one.get("assemblies", ()) if ref in refs]
        limited = {"aggregate": one["aggregate"], "assemblies": here}
        if here and limited not in ours:
            ours.append(limited)
    if ours:
        document["compositions"] = ours


def _refer(document: dict[str, Any], other: dict[str, Any]) -> None:
    """Link the component that another bill is about to that bill, as BOM-Link has it."""
    serial = str(other["serialNumber"]).removeprefix("urn:uuid:")
    link = {"type": "bom", "url": f"urn:cdx:{serial}/{int(other.get('version', 1))}"}
    for one in document.get("components", ()):
        links = one.get("externalReferences", [])
        if one["bom-ref"] == other["metadata"]["component"]["bom-ref"] and link not in links:
            one["externalReferences"] = [*links, link]


def _need(document: dict[str, Any], ref: str, needed: list[str]) -> None:
    every = {one["ref"]: one for one in document.setdefault("dependencies", [])}
    entry = every.setdefault(ref, {"ref": ref})
    if found := sorted({*entry.get("dependsOn", ()), *needed} - {ref}):
        entry["dependsOn"] = found
    document["dependencies"] = [every[one] for one in sorted(every)]
