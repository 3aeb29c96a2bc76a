"""What this engine keeps beside its containers: its name, by which it knows them again.

engine   the name, written once
in-use   present = there may be replicas: without it nobody asks a daemon that may not even be installed
images/  which images it brought
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import attrs

from modelyard.processes import disk_errors, write_atomic

_NAME = re.compile(r"[0-9a-f]{10}")


@attrs.frozen
class Belonging:
    """The folder that says which containers are this engine's."""

    folder: Path

    @property
    def images(self) -> Path:
        """One file an image."""
        return self.folder / "images"

    @property
    def in_use(self) -> bool:
        """Whether there may be replicas."""
        return (self.folder / "in-use").exists()

    def name(self) -> str:
        """Read the engine's name; empty before the first replica."""
        try:
            text = (self.folder / "engine").read_text(encoding="ascii")
        except (OSError, ValueError):
            return ""
        return text if _NAME.fullmatch(text) else ""

    def claim(self) -> str:
        """Give the engine's name, made up once; from now on there may be replicas. Callers take turns."""
        with disk_errors(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = self.name()
        if not name:
            name = secrets.token_hex(5)
            write_atomic(self.folder / "engine", name.encode())
        if not self.in_use:
            write_atomic(self.folder / "in-use", b"")
        return name

    def release(self) -> None:
        """Say that there are none."""
        (self.folder / "in-use").unlink(missing_ok=True)
