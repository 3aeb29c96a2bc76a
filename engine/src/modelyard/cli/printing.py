"""Words for people and JSON for programs: tables, sizes, times. No escape codes unless a terminal reads them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

KIB = 1024


def print_json(value: object) -> None:
    """Print api values (or plain ones) as one JSON document."""
    from modelyard.client import wire

    click.echo(json.dumps(wire.to_raw(value), indent=2))


def fancy() -> bool:
    """Say whether a terminal that takes colours reads stdout."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; the last one may be as long as it likes."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headers, *texts, strict=True)]
    _line(headers, widths, bold=True)
    for row in texts:
        _line(row, widths, bold=False)


def facts(pairs: Mapping[str, object]) -> None:
    """Print names with their values, one a line; empty values are left out."""
    shown = {name: value for name, value in pairs.items() if value not in ("", None, ())}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {value}", color=fancy())


def size(count: float) -> str:
    """Give bytes as `12.3 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < KIB:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KIB
    return f"{count:.1f} TiB"


def moment(unix_seconds: float) -> str:
    """Give a time of day in local time; empty for none."""
    return f"{datetime.fromtimestamp(unix_seconds).astimezone():%Y-%m-%d %H:%M:%S}" if unix_seconds else ""


def note(words: str) -> None:
    """Say something about the work itself: on stderr, so that stdout stays what was asked for."""
    click.echo(words, err=True)


def _line(cells: Sequence[Any], widths: Sequence[int], *, bold: bool) -> None:
    text = "  ".join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
    click.echo(click.style(text, bold=True) if bold else text, color=fancy())
