"""Packages that a service asks for at its start: an image has them from the beginning.

v1 installed the file that a variable names when a container started; here its lines join the requirements, so
that a replica starts without a package index and every one has the same packages.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from modelyard.api import EnvironmentSpec, EnvironmentUnsolvable, ServiceSpec
from modelyard.control import EXTRA_REQUIREMENTS


def with_extra_requirements(spec: ServiceSpec, code: Path) -> EnvironmentSpec:
    """Give the environment of a spec whose code lies in `code`, with what the file asks for."""
    environment = spec.environment
    named = environment.variables.get(EXTRA_REQUIREMENTS)
    if not named:
        return environment
    lines = _read(code / Path(spec.code.entry).parent, named).splitlines()
    return attrs.evolve(environment, requirements=(*environment.requirements, *lines))


def _read(folder: Path, named: str) -> str:
    file = folder / named
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise _unreadable(named, "it leaves the folder of the entry script")
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _unreadable(named, str(error)) from error


def _unreadable(named: str, why: str) -> EnvironmentUnsolvable:
    return EnvironmentUnsolvable(
        f"{EXTRA_REQUIREMENTS} names {named}, which cannot be read: {why}",
        place="environment.variables",
        remedy="write the file's path relative to the entry script's folder",
    )
