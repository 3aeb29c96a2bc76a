"""Call uv: which binary, in which environment. The user's own index and cache settings stay in force."""

from __future__ import annotations

import os
from collections.abc import Mapping

_NOT_OURS = frozenset({"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT"})
"""The engine's own environment must not become the replica's."""
OPTIONS = ("--color", "never", "--no-progress", "--no-python-downloads")


def uv_binary() -> str:
    """Return the path of the uv that came with the engine."""
    from uv import find_uv_bin

    return find_uv_bin()


def uv_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Copy the environment without what ties uv to the engine's own Python."""
    return {key: value for key, value in environ.items() if key not in _NOT_OURS}
