"""What the router's parent remembers on disk: the last snapshot that was taken whole, and its own state."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import attrs

from modelyard.processes import ProcessRef, write_atomic
from modelyard.router.resources import EMPTY, Resources, TypedResources

SNAPSHOT_FILE = "snapshot.json"
STATE_FILE = "state.json"
STARTED_FILE = "started.json"
"""The parent that was started last, by whoever started it: it takes half a second to write a state of its own."""
_FORMAT = 1

STARTING, SERVING, SUPERSEDED, DRAINING, STOPPED = "starting", "serving", "superseded", "draining", "stopped"


@attrs.frozen
class ParentState:
    """The router's parent and its Envoy, as the parent last wrote them."""

    parent: ProcessRef
    phase: str
    envoy: ProcessRef | None = None
    epoch: int = 0
    base_id: int | None = None
    port: int = 0
    restarts: int = 0
    cause: str = ""


def write_state(folder: Path, state: ParentState) -> None:
    """Write the parent's state; atomic."""
    content = {"format": _FORMAT, **attrs.asdict(state)}
    write_atomic(folder / STATE_FILE, json.dumps(content, sort_keys=True).encode())


def read_state(folder: Path) -> ParentState | None:
    """Read the parent's state; None when there is none, or none that this release understands."""
    raw = _load(folder / STATE_FILE)
    if raw is None:
        return None
    try:
        parent, envoy = ProcessRef(**raw.pop("parent")), raw.pop("envoy")
        return ParentState(parent=parent, envoy=ProcessRef(**envoy) if envoy else None, **raw)
    except (TypeError, KeyError):
        return None


def write_started(folder: Path, parent: ProcessRef) -> None:
    """Note a parent that was started; atomic."""
    write_atomic(folder / STARTED_FILE, json.dumps({"format": _FORMAT, **attrs.asdict(parent)}).encode())


def read_unheard(folder: Path) -> ProcessRef | None:
    """Return the parent that was started last, where it has not written its own state yet."""
    raw, state = _load(folder / STARTED_FILE), read_state(folder)
    try:
        started = ProcessRef(**raw) if raw is not None else None
    except TypeError:
        return None
    if started is None or (state is not None and started.start_ticks <= state.parent.start_ticks):
        return None
    return started


def write_snapshot(folder: Path, resources: Resources) -> None:
    """Write a snapshot; atomic, with a checksum against what disks do."""
    types = {
        url: {"version": typed.version, "items": {n: _text(item) for n, item in typed.items.items()}}
        for url, typed in resources.types.items()
    }
    content = {"format": _FORMAT, "types": types, "checksum": _checksum(types)}
    write_atomic(folder / SNAPSHOT_FILE, json.dumps(content, sort_keys=True).encode())


def read_snapshot(folder: Path) -> Resources:
    """Read the snapshot; empty when there is none or it is damaged: better none than a wrong one."""
    raw = _load(folder / SNAPSHOT_FILE)
    if raw is None or raw.get("checksum") != _checksum(raw.get("types")):
        return EMPTY
    return Resources(
        {
            url: TypedResources(typed["version"], {n: base64.b64decode(i) for n, i in typed["items"].items()})
            for url, typed in raw["types"].items()
        }
    )


def _load(path: Path) -> dict[str, Any] | None:
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(raw, dict) or raw.pop("format", None) != _FORMAT:
        return None
    return raw


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _checksum(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
