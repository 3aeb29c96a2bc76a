"""Which images this engine brought to the daemon, and when: one small file each, touched when it is brought again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import attrs

from modelyard.api import ImageRef
from modelyard.processes import disk_errors, write_atomic

NEW_SECONDS = 120.0
"""An image brought so lately may be about to be started: it is not forgotten."""


@attrs.frozen
class Brought:
    """The folder of records."""

    folder: Path

    def remember(self, image: ImageRef) -> None:
        """Write down that it is being brought now."""
        with disk_errors(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = self._record(image)
        if record.exists():
            os.utime(record)
        else:
            write_atomic(record, json.dumps(attrs.asdict(image)).encode())

    def forget(self, image: ImageRef) -> None:
        """Drop the record."""
        self._record(image).unlink(missing_ok=True)

    def all(self) -> list[ImageRef]:
        """List them; damaged records are none."""
        records = sorted(self.folder.glob("*.json")) if self.folder.exists() else []
        return [image for record in records if (image := _read(record)) is not None]

    def is_new(self, image: ImageRef) -> bool:
        """Say whether it was brought within the last minutes."""
        try:
            return time.time() - self._record(image).stat().st_mtime < NEW_SECONDS
        except FileNotFoundError:
            return False

    def _record(self, image: ImageRef) -> Path:
        return self.folder / f"{image.digest.removeprefix('sha256:')}.json"


def _read(record: Path) -> ImageRef | None:
    try:
        return ImageRef(**json.loads(record.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
