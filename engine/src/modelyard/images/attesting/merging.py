"""Put what an image stands on into its own bill of materials: everything below is in it too. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from modelyard.images.attesting.bills import numbered


def with_parts_of(bill: bytes, below: Iterable[bytes]) -> bytes:
    """Add the components of other bills, each once, and let the image need what their images needed.

    What is no CycloneDX of ours or of another tool is passed over: a bill says what is known.
    """
    document = json.loads(bill)
    for content in below:
        try:
            _add(document, json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return numbered(document)


def _add(document: dict[str, Any], other: dict[str, Any]) -> None:
    parts = {one["bom-ref"]: one for one in other.get("components", ())}
    needs = {one["ref"]: list(one.get("dependsOn", ())) for one in other.get("dependencies", ())}
    known = {one["bom-ref"] for one in document.setdefault("components", [])}
    added = {ref: part for ref, part in parts.items() if ref not in known}
    root = document["metadata"]["component"]["bom-ref"]
    below = needs.pop(other["metadata"]["component"]["bom-ref"], [])
    _need(document, root, [ref for ref in below if ref in parts])
    for ref in added:
        _need(document, ref, [one for one in needs.get(ref, ()) if one in parts])
    document["components"] = sorted(
        [*document["components"], *added.values()], key=lambda one: one["bom-ref"]
    )


def _need(document: dict[str, Any], ref: str, needed: list[str]) -> None:
    every = {one["ref"]: one for one in document.setdefault("dependencies", [])}
    entry = every.setdefault(ref, {"ref": ref})
    if found := sorted({*entry.get("dependsOn", ()), *needed} - {ref}):
        entry["dependsOn"] = found
    document["dependencies"] = [every[one] for one in sorted(every)]
