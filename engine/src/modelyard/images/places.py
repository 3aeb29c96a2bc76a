"""Where things lie in the images that we make. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

ROOT = PurePosixPath("/opt/modelyard")
ENVIRONMENT = ROOT / "env"
"""The server's packages, and the script's where they get along."""
SCRIPT_ENVIRONMENT = ROOT / "script"
"""The script's own packages, where they do not."""
CONDA = ROOT / "conda"
CODE = ROOT / "code"
APPLICATION = ROOT / "app"
"""The folder over `azureml-models`."""
ENGINE = ROOT / "engine"
"""The engine's own packages, in its own image."""
ENGINE_HOME = PurePosixPath("/var/lib/modelyard")
"""What the engine keeps there: a volume."""


def in_image(path: PurePosixPath) -> str:
    """Write a path as layers do: without the leading slash."""
    return str(path).lstrip("/")
