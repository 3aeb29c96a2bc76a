"""Keys: what makes the environments of two images the same, and why one was not found. Pure.

As on the process target, the spec key names what was asked for and the lock key what it became; here the
base image stands where an interpreter stands there. The code, the models and the runtime lie in layers of
their own and are in neither.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from modelyard.api import EnvironmentSpec, PipLayer, Platform
from modelyard.environments import changes, digest, normalised, normalised_conda, parse_pins

KEY_VERSION = 1
"""A change of either rule is a new version: old images are then simply never hit."""


@attrs.frozen
class Inputs:
    """What an image's environment was asked to be; `base` is the digest that `environment.base` stood for."""

    platform: Platform
    base: str
    spec: EnvironmentSpec


def image_spec_key(inputs: Inputs, *, runtime: Iterable[str] = ()) -> str:
    """Return the hex key of what was asked for; the name of the base and variables do not count.

    `runtime` has the requirements of a server that is solved for together with it; none = the script's alone.
    """
    spec = inputs.spec
    return digest(
        {
            "kind": "image-spec",
            "version": KEY_VERSION,
            "platform": str(inputs.platform.meant),
            "base": inputs.base,
            "docker_steps": spec.docker_steps,
            "dockerfile": spec.dockerfile,
            "python": spec.python,
            "requirements": normalised(spec.requirements),
            "conda": normalised_conda(spec.conda),
            "runtime": sorted(runtime),
        }
    )


def image_lock_key(foundation: str, pips: Iterable[PipLayer]) -> str:
    """Return the hex key of solved environments on what lies below them: a base's digest, or the key of a made one.

    Raises `LockDamaged` when a lock is none.
    """
    return digest(
        {
            "kind": "image-lock",
            "version": KEY_VERSION,
            "foundation": foundation,
            "pips": [_pip(one) for one in pips],
        }
    )


def steps_key(base: str, docker_steps: Iterable[str], *, context: str = "") -> str:
    """Return the hex key of a base (its digest) that steps were done to; their order counts.

    `context` is the digest of the folder that they copy from; empty where they copy nothing.
    """
    return digest(
        {
            "kind": "image-steps",
            "version": KEY_VERSION,
            "base": base,
            "docker_steps": list(docker_steps),
            "context": context,
        }
    )


def dockerfile_key(platform: Platform, dockerfile: str, *, context: str = "") -> str:
    """Return the hex key of what a Dockerfile makes; what its FROM stands for today is no part of it."""
    return digest(
        {
            "kind": "image-dockerfile",
            "version": KEY_VERSION,
            "platform": str(platform.meant),
            "dockerfile": dockerfile,
            "context": context,
        }
    )


def conda_key(foundation: str, lock: str) -> str:
    """Return the hex key of a base with conda packages on it; `lock` is the lock's canonical text."""
    return digest({"kind": "image-conda", "version": KEY_VERSION, "foundation": foundation, "lock": lock})


def _pip(layer: PipLayer) -> dict[str, object]:
    return {
        "prefix": str(layer.prefix),
        "python": f"{layer.python.path} {layer.python.version}",
        "pins": parse_pins(layer.lock),
        "system_packages": layer.system_packages,
    }


def why(wanted: Inputs, known: Iterable[Inputs]) -> str:
    """Say which inputs make `wanted` a miss against the nearest of what is known."""
    reasons = [_differences(one, wanted) for one in known]
    if not reasons:
        return "no image was built before"
    nearest = min(reasons, key=lambda found: (len(found), sum(map(len, found)), found))
    return "; ".join(nearest) or "same inputs; the image was removed, or is in another registry"


def _differences(old: Inputs, new: Inputs) -> list[str]:
    found = []
    if old.platform.meant != new.platform.meant:
        found.append(f"platform: {old.platform} -> {new.platform}")
    if old.base != new.base:
        found.append(f"base: {old.base} -> {new.base}")
    # one name may have come to stand for another digest, and two names for one
    return found + changes(attrs.evolve(old.spec, base=None), attrs.evolve(new.spec, base=None))
