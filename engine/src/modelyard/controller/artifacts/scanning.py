"""What is known against the packages of an image, by the offline database that the settings name."""

from __future__ import annotations

import os
from collections.abc import Iterable

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


def with_vulnerabilities(image: ImageDetails, home: Home, settings: ImageSettings) -> ImageDetails:
    """Look an image's Python packages up; what nobody knows is said to be unknown. Blocks while it reads."""
    pips = [one for one in image.environments if one.python]
    if not all(one.lock for one in pips) or not pips:
        return attrs.evolve(image, vulnerabilities_unknown="its locks are not kept")
    folder = find_folder(os.environ, settings.osv_database)
    report = known_vulnerabilities(_pins(pips), Database(folder, home.cache, settings.osv_max_age_days))
    return attrs.evolve(
        image,
        vulnerabilities=tuple(map(_told, report.found)),
        vulnerabilities_unknown=_unknown(report),
    )


def _pins(environments: Iterable[ImageEnvironment]) -> set[Pin]:
    return {pin for one in environments for pin in read_pins(one.lock)}


def _told(flaw: Vulnerability) -> str:
    mended = f"; {flaw.fixed[0]} mends it" if flaw.fixed else ""
    return f"{flaw.name}=={flaw.version}: {', '.join(flaw.ids)}: {flaw.summary or 'no summary'}{mended}"


def _unknown(report: Report) -> str:
    doubts = [f"{one} cannot be compared with what is known" for one in report.undecided]
    return "; ".join(filter(None, [report.unknown, report.remedy if report.unknown else "", *doubts]))
