"""Where the layout, the list of servers and the spool are: `$MODELYARD_REGISTRY_ROOT`, `$MODELYARD_REGISTRIES`.

Else all lie in the engine's home. A plugin may not ask the engine's own rooms, so the engine's rule stands
here a second time; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def find_root(environ: Mapping[str, str]) -> Path:
    """Work out the layout's folder from the environment; creates nothing."""
    if root := environ.get("MODELYARD_REGISTRY_ROOT"):
        return Path(root).expanduser().resolve()
    return _find_state(environ) / "registry"


def find_spool(environ: Mapping[str, str]) -> Path:
    """Work out where images of the Docker daemon are spooled: in the engine's cache; creates nothing."""
    if home := environ.get("MODELYARD_HOME"):
        return Path(home).expanduser().resolve() / "cache" / "docker-daemon"
    user = Path(environ.get("HOME") or Path.home())
    return Path(environ.get("XDG_CACHE_HOME") or user / ".cache") / "modelyard" / "docker-daemon"


def find_servers_file(environ: Mapping[str, str]) -> Path:
    """Work out where the list of registry servers is; it need not exist."""
    if file := environ.get("MODELYARD_REGISTRIES"):
        return Path(file).expanduser().resolve()
    return _find_state(environ) / "registries.toml"


def _find_state(environ: Mapping[str, str]) -> Path:
    if home := environ.get("MODELYARD_HOME"):
        return Path(home).expanduser().resolve()
    user = Path(environ.get("HOME") or Path.home())
    return Path(environ.get("XDG_STATE_HOME") or user / ".local/state") / "modelyard"
