"""The model folder as a script sees it, for whoever looks for a missing file. v1 lists it too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MAX_LINES = 200
"""v1's limit."""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


def model_tree(model_dir: str, *, max_lines: int = MAX_LINES) -> list[str]:
    """List a model folder: a heading, then at most `max_lines` lines, the last of which says what is left out."""
    if not model_dir:
        return ["no model folder: AZUREML_MODEL_DIR is not set"]
    heading = f"the model folder, AZUREML_MODEL_DIR={model_dir}:"
    folder = Path(model_dir)
    if not folder.is_dir():
        return [heading, "  (there is no such folder)"]
    lines: list[str] = []
    for line in _entries(folder, "  ", frozenset()):
        if len(lines) == max_lines:
            return [heading, *lines[:-1], f"  ... and more: only {max_lines} lines are shown"]
        lines.append(line)
    return [heading, *(lines or ["  (empty)"])]


def _entries(folder: Path, indent: str, above: frozenset[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:
        yield f"{indent}(a link to a folder above it)"
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        yield f"{indent}(cannot be read: {error.strerror})"
        return
    for entry in entries:
        if entry.is_dir():
            yield f"{indent}{entry.name}/"
            yield from _entries(entry, indent + "  ", above | {real})
        else:
            yield f"{indent}{entry.name}  {_size(entry)}"


def _size(file: Path) -> str:
    try:
        size = float(file.stat().st_size)
    except OSError:
        return "(a link to nothing)"
    unit = 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"({size:.0f} {_UNITS[unit]})" if unit == 0 else f"({size:.1f} {_UNITS[unit]})"
