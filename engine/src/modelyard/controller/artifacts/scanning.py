"""What is known against the packages of an image, by the offline database that the settings name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator

import attrs

from modelyard.api import ImageDetails, ImageEnvironment, ImageSettings
from modelyard.environments import Pin, read_pins
from modelyard.environments.advisories import (
    Database,
    Report,
    Vulnerability,
    find_folder,
    known_vulnerabilities,
)
from modelyard.processes import Home

_PYTHON = "pypi"


def with_vulnerabilities(image: ImageDetails, home: Home, settings: ImageSettings) -> ImageDetails:
    """Look an image's Python packages up; what nobody knows is said to be unknown. Blocks while it reads."""
    pips = [one for one in image.environments if one.python]
    pins = _pins(pips) | {Pin(one.name, one.version, ()) for one in image.packages if one.kind == _PYTHON}
    if not pins or not (image.packages or all(one.lock for one in pips)):
        why = "its bill of materials names no Python package" if image.packages else "its locks are not kept"
        return attrs.evolve(image, vulnerabilities_unknown="; ".join([why, *_others(image)]))
    folder = find_folder(os.environ, settings.osv_database)
    report = known_vulnerabilities(pins, Database(folder, home.cache, settings.osv_max_age_days))
    return attrs.evolve(
        image,
        vulnerabilities=tuple(map(_told, report.found)),
        vulnerabilities_unknown="; ".join(filter(None, [_unknown(report), *_others(image)])),
    )


def _pins(environments: Iterable[ImageEnvironment]) -> set[Pin]:
    """Give the pins of locks less their hashes: a package of two lists is one."""
    return {Pin(pin.name, pin.version, ()) for one in environments for pin in read_pins(one.lock)}


def _others(image: ImageDetails) -> Iterator[str]:
    """Say which packages are in no database that is read."""
    kinds = Counter(one.kind for one in image.packages if one.kind != _PYTHON)
    for kind, count in sorted(kinds.items()):
        yield f"{count} packages of the kind {kind} are in no database that is read"


def _told(flaw: Vulnerability) -> str:
    mended = f"; {flaw.fixed[0]} mends it" if flaw.fixed else ""
    return f"{flaw.name}=={flaw.version}: {', '.join(flaw.ids)}: {flaw.summary or 'no summary'}{mended}"


def _unknown(report: Report) -> str:
    doubts = [f"{one} cannot be compared with what is known" for one in report.undecided]
    return "; ".join(filter(None, [report.unknown, report.remedy if report.unknown else "", *doubts]))
