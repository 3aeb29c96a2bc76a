"""The configuration of an image: reading the base's, writing ours. Pure.

The same image gives the same bytes: keys sorted, no time but 1970, which every tool can show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from modelyard.api import Artifact, Descriptor, ImageUnbuildable, Platform
from modelyard.environments import canonical
from modelyard.images.images import Base, Image
from modelyard.images.layers import GZIP_TYPE, TAR_TYPE, ZSTD_TYPE, Layer

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_CONFIG_TYPES = (CONFIG_TYPE, "application/vnd.docker.container.image.v1+json")
_LAYER_TYPES = {
    TAR_TYPE: TAR_TYPE,
    GZIP_TYPE: GZIP_TYPE,
    ZSTD_TYPE: ZSTD_TYPE,
    "application/vnd.docker.image.rootfs.diff.tar": TAR_TYPE,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": GZIP_TYPE,
}
"""Layers a base may have, and their names in an OCI manifest: the bytes are the same."""
_PLATFORM = ("architecture", "os", "os.features", "os.version", "variant")
_INHERITED = ("Cmd", "Entrypoint", "ExposedPorts", "StopSignal", "Volumes")
_LABELS = "org.opencontainers.image."
"""Labels that speak of the image itself: those of the base would be wrong above it."""
_OURS = "modelyard "
_NO_TIME = "1970-01-01T00:00:00Z"
T = TypeVar("T")


def read_base(
    name: str, manifest: Descriptor, artifact: Artifact, config: bytes, wanted: Platform | None
) -> Base:
    """Read a base from its manifest and its configuration's bytes; `wanted` None = whatever it was built for.

    Raises `ImageUnbuildable` when it is no image, is damaged, or was built for another platform.
    """
    try:
        document = _checked(json.loads(config), artifact)
    except (ValueError, TypeError, RecursionError) as error:
        raise _unusable(name, f"its configuration is damaged: {error}") from error
    built = built_for(document)
    if wanted is not None and wanted.choose([(built, built)]) is None:
        raise _unusable(name, f"it was built for {built}, not for {wanted}")
    layers = tuple(_as_oci(name, layer) for layer in artifact.layers)
    return Base(name, manifest.digest, layers, document)


def built_for(config: Mapping[str, Any]) -> Platform:
    """Say which platform a configuration speaks of."""
    return Platform(*(str(config.get(key) or "") for key in ("os", "architecture", "variant")))


def parts_of(base: Base) -> tuple[str, ...]:
    """Say of each layer what it is for, as its history tells; what we did not add is `base`."""
    full = [entry for entry in base.config.get("history") or [] if not entry.get("empty_layer")]
    if len(full) != len(base.layers):
        return ("base",) * len(base.layers)
    told = [str(entry.get("created_by") or "") for entry in full]
    return tuple(one.removeprefix(_OURS) if one.startswith(_OURS) else "base" for one in told)


def config_descriptor(name: str, artifact: Artifact) -> Descriptor:
    """Say which blob configures an image. Raises `ImageUnbuildable` for artifacts that are none."""
    if artifact.config is None or artifact.config.media_type not in _CONFIG_TYPES:
        raise _unusable(name, "it is no container image")
    return artifact.config


def write_config(image: Image, layers: Sequence[Layer]) -> bytes:
    """Write the configuration of an image whose additions became `layers`."""
    below = image.base.config
    platform = {key: below[key] for key in _PLATFORM if below.get(key)}
    diff_ids = [*below["rootfs"]["diff_ids"], *(layer.diff_id for layer in layers)]
    added = [{"created_by": f"{_OURS}{addition.part.name.lower()}"} for addition in image.additions]
    return canonical(
        {
            **platform,
            "created": _NO_TIME,
            "config": _running(image),
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [*_history(below), *added],
        }
    )


def _running(image: Image) -> dict[str, Any]:
    below: Mapping[str, Any] = image.base.config.get("config") or {}
    start = image.start
    running = {key: below[key] for key in _INHERITED if below.get(key)}
    if start.entrypoint:
        running.pop("Cmd", None)  # it held arguments for the base's own entrypoint
        running["Entrypoint"] = list(start.entrypoint)
    running["Env"] = _variables(below.get("Env") or [], start.variables)
    running["Labels"] = _labels(below.get("Labels") or {}, image)
    ports = [f"{port}/tcp" for port in start.ports]
    for name, ours in (("Volumes", start.volumes), ("ExposedPorts", ports)):
        if ours:
            running[name] = {**running.get(name, {}), **{one: {} for one in ours}}
    return {**running, "User": start.user, "WorkingDir": start.folder}


def _variables(below: Sequence[str], ours: Mapping[str, str]) -> list[str]:
    known = dict(line.partition("=")[::2] for line in below)
    return [f"{name}={value}" for name, value in sorted({**known, **ours}.items())]


def _labels(below: Mapping[str, str], image: Image) -> dict[str, str]:
    labels = {key: value for key, value in below.items() if not key.startswith(_LABELS)}
    labels[f"{_LABELS}title"] = image.title
    labels[f"{_LABELS}base.name"] = image.base.name
    labels[f"{_LABELS}base.digest"] = image.base.digest
    if image.revision:
        labels[f"{_LABELS}revision"] = image.revision
    return {**labels, **image.labels}


def _history(below: Mapping[str, Any]) -> list[Any]:
    """Give one entry a layer at least: tools match the two lists by number."""
    known: list[Any] = below.get("history") or []
    count = len(below["rootfs"]["diff_ids"])
    full = [entry for entry in known if not entry.get("empty_layer")]
    return known if len(full) == count else [{"created_by": "base"}] * count


def _checked(document: Any, artifact: Artifact) -> dict[str, Any]:
    """Look at everything that is read later. Raises `ValueError` and `TypeError`."""
    found = _is(dict, document, "the document")
    diff_ids = _is(list, _is(dict, found.get("rootfs"), "rootfs").get("diff_ids"), "rootfs.diff_ids")
    if len(diff_ids) != len(artifact.layers):
        raise ValueError(f"it names {len(diff_ids)} layers, the manifest {len(artifact.layers)}")
    running = _is(dict, found.get("config") or {}, "config")
    texts = [*diff_ids, *_is(list, running.get("Env") or [], "Env")]
    labels = _is(dict, running.get("Labels") or {}, "Labels")
    for text in [*texts, *labels, *labels.values()]:
        _is(str, text, "a layer, a variable or a label")
    for entry in _is(list, found.get("history") or [], "history"):
        _is(dict, entry, "an entry of the history")
    return found


def _is(kind: type[T], value: object, what: str) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{what} is no {kind.__name__}")
    return value


def _as_oci(name: str, layer: Descriptor) -> Descriptor:
    if layer.media_type not in _LAYER_TYPES:
        raise _unusable(name, f"it has a layer of the type {layer.media_type!r}")
    return Descriptor(_LAYER_TYPES[layer.media_type], layer.digest, layer.size)


def _unusable(name: str, why: str) -> ImageUnbuildable:
    return ImageUnbuildable(
        f"the base image cannot be built upon: {why}",
        place=name,
        remedy="name another image in environment.base, or push this one again",
    )
