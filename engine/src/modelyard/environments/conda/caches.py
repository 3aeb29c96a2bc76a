"""Where conda's packages and what channels list are kept on this machine: this user's alone."""

from __future__ import annotations

from pathlib import Path

from modelyard.processes import Home, disk_errors


def cache_folder(home: Home, name: str) -> Path:
    """Make a folder of the cache; others may not look at what private channels have. Blocks."""
    folder = home.conda / name
    with disk_errors(folder):
        home.conda.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
    return folder
