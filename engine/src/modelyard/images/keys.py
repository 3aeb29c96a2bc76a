"""Keys: what makes the environments of two images the same, and why one was not found. Pure.

As on the process target, the spec key names what was asked for and the lock key what it became; here the
base image stands where an interpreter stands there. The code, the models and the runtime lie in layers of
their own and are in neither.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from modelyard.api import Compression, EnvironmentSpec, PipLayer, Platform
from modelyard.environments import asked, changes, digest, locked, normalised_conda, parse_pins

KEY_VERSION = 1
"""A change of either rule is a new version: old images are then simply never hit."""


@attrs.frozen
class Inputs:
    """What an image's environment was asked to be; `base` is the digest that `environment.base` stood for."""

    platform: Platform
    base: str
    spec: EnvironmentSpec
    lock_file: str = ""
    """The digest of a lock file whose content is not at hand, as for an image that was found."""


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
            "requirements": asked(spec),
            "conda": normalised_conda(spec.conda),
            "runtime": sorted(runtime),
            **locked(spec),
        }
    )


def image_lock_key(foundation: str, pips: Iterable[PipLayer], *, compression: Compression = "gzip") -> str:
    """Return the hex key of solved environments on what lies below them: a base's digest, or the key of a made one.

    Raises `LockDamaged` when a lock is none.
    """
    return digest(
        {
            "kind": "image-lock",
            "version": KEY_VERSION,
            "foundation": foundation,
            "pips": [_pip(one) for one in pips],
            **_compressed(compression),
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


def conda_key(foundation: str, lock: str, *, compression: Compression = "gzip") -> str:
    """Return the hex key of a base with conda packages on it; `lock` is the lock's canonical text."""
    return digest(
        {
            "kind": "image-conda",
            "version": KEY_VERSION,
            "foundation": foundation,
            "lock": lock,
            **_compressed(compression),
        }
    )


def _compressed(compression: Compression) -> dict[str, str]:
    """Tell images apart that not everybody reads; those in gzip keep the keys that they always had."""
    return {} if compression == "gzip" else {"compression": compression}


def _pip(layer: PipLayer) -> dict[str, object]:
    return {
        "prefix": str(layer.prefix),
        "python": f"{layer.python.path} {layer.python.version}",
        "pins": parse_pins(layer.lock),
        "system_packages": layer.system_packages,
    }


def lock_file_digest(inputs: Inputs) -> str:
    """Name the lock file of an environment; nothing where it has none."""
    return inputs.lock_file or (digest(locked(inputs.spec)) if inputs.spec.lock_file else "")


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
    if lock_file_digest(old) != lock_file_digest(new):
        found.append("lock_file: changed")
    # one name may have come to stand for another digest, and two names for one
    return found + changes(_comparable(old.spec), _comparable(new.spec))


def _comparable(spec: EnvironmentSpec) -> EnvironmentSpec:
    return attrs.evolve(spec, base=None, requirements=tuple(asked(spec)), lock_file=None)
