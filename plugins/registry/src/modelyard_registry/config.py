"""Where the layout is: `$MODELYARD_REGISTRY_ROOT`, else the registry folder of the engine's home.

A plugin may not ask the engine's own rooms, so the engine's rule stands here a second time;
a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def find_root(environ: Mapping[str, str]) -> Path:
    """Work out the folder from the environment; creates nothing."""
    if root := environ.get("MODELYARD_REGISTRY_ROOT"):
        return Path(root).expanduser().resolve()
    if home := environ.get("MODELYARD_HOME"):
        return Path(home).expanduser().resolve() / "registry"
    user = Path(environ.get("HOME") or Path.home())
    return Path(environ.get("XDG_STATE_HOME") or user / ".local/state") / "modelyard" / "registry"
