"""What an image says of itself in its labels: what it was asked to be, and which Pythons run where in it. Pure.

Whoever finds an image by its key, or is given one, needs nothing else to build upon it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import attrs

from modelyard.api import BasePython, EnvironmentSpec, ImageUnbuildable, PipLayer, Platform
from modelyard.environments import Preinstalled, asked, canonical, normalised_conda
from modelyard.images.images import Base
from modelyard.images.keys import Inputs, lock_file_digest

INPUTS = "dev.modelyard.inputs"
ENVIRONMENTS = "dev.modelyard.environments"
KEY = "dev.modelyard.key"
BELOW = "dev.modelyard.below"
"""The keys of images made by the engine that an image stands on, with spaces between them."""
CONDA_FACTS = "dev.modelyard.conda"
_VERSION = 1


@attrs.frozen
class Inside:
    """One environment of an image: its prefix, and the Python that runs it."""

    prefix: PurePosixPath
    python: BasePython
    serving: bool


@attrs.frozen
class CondaFacts:
    """What conda packages offer to packages of pip on top: a Python (None = the base's), and what is there."""

    python: BasePython | None
    preinstalled: tuple[Preinstalled, ...]


def describe_conda(facts: CondaFacts) -> dict[str, str]:
    """Write the label of an image that has conda packages."""
    python = facts.python and {**attrs.asdict(facts.python), "path": str(facts.python.path)}
    there = [attrs.asdict(one) for one in facts.preinstalled]
    return {CONDA_FACTS: canonical({"version": _VERSION, "python": python, "preinstalled": there}).decode()}


def conda_of(base: Base) -> CondaFacts:
    """Read what an image's conda packages offer. Raises `ImageUnbuildable` for images that do not say so."""
    try:
        document = _versioned(_labels(base)[CONDA_FACTS])
        raw = document["python"]
        python = BasePython(**{**raw, "path": PurePosixPath(raw["path"])}) if raw else None
        there = tuple(_preinstalled(one) for one in document["preinstalled"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageUnbuildable(
            f"the image does not say what its conda packages are: {error}",
            place=base.name,
            remedy="remove it with `engine images prune` and let the engine build it",
        ) from error
    return CondaFacts(python, there)


def describe(
    inputs: Inputs, pips: Sequence[PipLayer], key: str, *, below: Sequence[str] = ()
) -> dict[str, str]:
    """Write the labels of an image that holds environments and stands on bases with the keys `below`."""
    return {
        INPUTS: _inputs(inputs),
        ENVIRONMENTS: _environments(pips),
        **describe_base(key, below=below),
    }


def describe_base(key: str, *, below: Sequence[str] = ()) -> dict[str, str]:
    """Write the labels of a base that the engine made."""
    return {KEY: key, BELOW: " ".join(sorted(below))}


def below_of(base: Base) -> frozenset[str]:
    """Read the keys of what an image stands on."""
    below = _labels(base).get(BELOW)
    return frozenset(below.split()) if isinstance(below, str) else frozenset()


def environments_of(base: Base) -> tuple[Inside, ...]:
    """Read which environments an image holds. Raises `ImageUnbuildable` for images that do not say so."""
    try:
        document = _versioned(_labels(base)[ENVIRONMENTS])
        return tuple(_inside(one) for one in document["environments"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageUnbuildable(
            f"the image does not say which environments it holds: {error}",
            place=base.name,
            remedy="name one that `engine images list` shows, or let the engine build it",
        ) from error


def inputs_of(base: Base) -> Inputs | None:
    """Read what an image was asked to be; None where it does not say."""
    try:
        document = _versioned(_labels(base)[INPUTS])
        spec = EnvironmentSpec(
            base=document["base_name"],
            python=document["python"],
            requirements=tuple(document["requirements"]),
            conda=document["conda"],
            docker_steps=tuple(document["docker_steps"]),
            dockerfile=document["dockerfile"],
        )
        platform, lock_file = Platform.parse(document["platform"]), str(document.get("lock_file", ""))
        return Inputs(platform, str(document["base"]), spec, lock_file)
    except (ValueError, KeyError, TypeError):
        return None


def key_of(base: Base) -> str:
    """Read the key of the environment that an image holds; empty where it does not say."""
    key = _labels(base).get(KEY)
    return key if isinstance(key, str) else ""


def _versioned(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    if document["version"] != _VERSION:
        raise ValueError(f"it has version {document['version']}, this release knows {_VERSION}")
    return document


def _labels(base: Base) -> Mapping[str, Any]:
    running: Mapping[str, Any] = base.config.get("config") or {}
    return running.get("Labels") or {}


def _inputs(inputs: Inputs) -> str:
    spec = inputs.spec
    return canonical(
        {
            "version": _VERSION,
            "platform": str(inputs.platform),
            "base": inputs.base,
            "base_name": spec.base,
            "python": spec.python,
            "requirements": asked(spec),
            "conda": normalised_conda(spec.conda),
            "docker_steps": list(spec.docker_steps),
            "dockerfile": spec.dockerfile,
            "lock_file": lock_file_digest(inputs),
        }
    ).decode()


def _environments(pips: Sequence[PipLayer]) -> str:
    found = [
        {
            "prefix": str(one.prefix),
            "serving": one.serving,
            "python": {**attrs.asdict(one.python), "path": str(one.python.path)},
        }
        for one in pips
    ]
    return canonical({"version": _VERSION, "environments": found}).decode()


def _preinstalled(raw: Mapping[str, Any]) -> Preinstalled:
    return Preinstalled(raw["name"], raw["version"], tuple(raw["extras"]), tuple(raw["requires"]))


def _inside(raw: Mapping[str, Any]) -> Inside:
    python = {**raw["python"], "path": PurePosixPath(raw["python"]["path"])}
    return Inside(PurePosixPath(raw["prefix"]), BasePython(**python), raw["serving"] is True)
