"""The configuration of a built image, without what is only true of the daemon that built it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelyard.api import BuildOrder
from modelyard.environments import canonical
from modelyard.images.images import Base

_LABELS = "org.opencontainers.image."
"""Labels that speak of the image itself: those of the base would be wrong above it."""
_KEPT = ("architecture", "created", "os", "os.features", "os.version", "rootfs", "variant")
_RUNNING = (
    *("ArgsEscaped", "Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "OnBuild", "Shell"),
    *("StopSignal", "User", "Volumes", "WorkingDir"),
)
"""What the specification of images and Docker's own additions know; names of hosts and containers are not in it."""
_HISTORY = ("created", "created_by", "comment", "empty_layer")


def clean_config(saved: bytes, base: Base | None, order: BuildOrder) -> bytes:
    """Write the configuration to push. `base` None = a whole Dockerfile. Raises `ValueError` and `TypeError`."""
    document: Mapping[str, Any] = json.loads(saved)
    running: Mapping[str, Any] = document.get("config") or {}
    kept = {key: running[key] for key in _RUNNING if running.get(key)}
    labels = _labels(running.get("Labels") or {}, base, order)
    history = [{key: one[key] for key in _HISTORY if one.get(key)} for one in document.get("history") or ()]
    return canonical(
        {
            **{key: document[key] for key in _KEPT if document.get(key)},
            "config": {**kept, **({"Labels": labels} if labels else {})},
            "history": history,
        }
    )


def _labels(found: Mapping[str, str], base: Base | None, order: BuildOrder) -> dict[str, str]:
    below = ((base.config.get("config") or {}).get("Labels") or {}) if base else {}
    stale = {key for key, value in below.items() if key.startswith(_LABELS) and found.get(key) == value}
    labels = {key: value for key, value in found.items() if key not in stale}
    if base:
        labels |= {f"{_LABELS}base.name": base.name, f"{_LABELS}base.digest": base.digest}
    if order.title:
        labels[f"{_LABELS}title"] = order.title
    return {**labels, **order.labels}
