"""Keys: what makes the environments of two images the same, and why one was not found. Pure.

As on the process target, the spec key names what was asked for and the lock key what it became; here the
base image stands where an interpreter stands there. The code, the models and the runtime lie in layers of
their own and are in neither.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from modelyard.api import EnvironmentSpec, Platform
from modelyard.environments import changes, digest, normalised, normalised_conda, parse_pins

KEY_VERSION = 1
"""A change of either rule is a new version: old images are then simply never hit."""


@attrs.frozen
class Inputs:
    """What an image's environment was asked to be; `base` is the digest that `environment.base` stood for."""

    platform: Platform
    base: str
    spec: EnvironmentSpec


def image_spec_key(inputs: Inputs) -> str:
    """Return the hex key of what was asked for; the name of the base and variables do not count."""
    spec = inputs.spec
    return digest(
        {
            "kind": "image-spec",
            "version": KEY_VERSION,
            "platform": str(inputs.platform.meant),
            "base": inputs.base,
            "docker_steps": spec.docker_steps,
            "python": spec.python,
            "requirements": normalised(spec.requirements),
            "conda": normalised_conda(spec.conda),
        }
    )


def image_lock_key(base: str, docker_steps: Iterable[str], lock: str) -> str:
    """Return the hex key of a solved environment on a base (its digest); the order of the steps counts.

    `lock` is a lock's text in any form; raises `LockDamaged` when it is none.
    """
    return digest(
        {
            "kind": "image-lock",
            "version": KEY_VERSION,
            "base": base,
            "docker_steps": list(docker_steps),
            "pins": parse_pins(lock),
        }
    )


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
