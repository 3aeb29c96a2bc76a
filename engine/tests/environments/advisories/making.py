"""A database of ten entries of our own, as osv-scanner lays it out."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelyard.environments import Pin
from modelyard.environments.advisories import Database

ENTRIES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "entries.json").read_text())
NOW = datetime(2026, 11, 25, tzinfo=UTC).timestamp()


def write_database(folder: Path, entries: list[dict[str, Any]] = ENTRIES) -> Path:
    file = folder / "PyPI" / "all.zip"
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            archive.writestr(f"{entry['id']}.json", json.dumps(entry))
    return file


def database(folder: Path, **changes: Any) -> Database:
    return Database(folder, folder / "cache", clock=lambda: NOW, **changes)


def pin(name: str, version: str) -> Pin:
    return Pin(name, version, ())
