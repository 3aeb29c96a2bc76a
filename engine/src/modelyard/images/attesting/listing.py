"""Read the packages off a bill of materials, whoever wrote it."""

from __future__ import annotations

import json
from typing import Any

from modelyard.api import ImagePackage

_SYSTEMS = "pkg:"
_NO_PACKAGES = ("", "oci", "docker")


def packages_in(bill: bytes) -> tuple[ImagePackage, ...]:
    """List every component that has a package address, sorted; what is damaged has none."""
    try:
        components = json.loads(bill)["components"]
        found = {_package(one) for one in components if str(one.get("purl", "")).startswith(_SYSTEMS)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()
    return tuple(sorted(one for one in found if one.kind not in _NO_PACKAGES))


def _package(component: dict[str, Any]) -> ImagePackage:
    purl = str(component["purl"])
    kind = purl.removeprefix(_SYSTEMS).lstrip("/").partition("/")[0].lower()
    return ImagePackage(kind, str(component["name"]), str(component.get("version", "")), purl)
