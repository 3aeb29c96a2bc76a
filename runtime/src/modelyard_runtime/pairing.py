"""What a replica's parent and its server agree on, and nobody else needs to know.

Standard library only, as the parent is.
"""

from __future__ import annotations

import json
from pathlib import Path

from modelyard_runtime.causes import StartFailure

ADMIN_FILE = "admin.sock"
"""Envoy's admin, in the run folder."""
DRAIN_PATH = "/modelyard/drain"
"""POST on the replica's own socket, never routed: new requests are refused from now on."""
BY_PYTHON = "x-modelyard-ask"
"""A request with this header is never answered by Envoy itself: a probe must reach the interpreter."""
READY_KEY = "modelyard.ready"
"""In Envoy's runtime: of a hundred health requests, how many it answers by itself."""
LOADER_VARIABLES = ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONPATH", "PYTHONHOME")
"""What the Python inside Envoy needs to start; user code and the user's own interpreter never see our values."""
_FAILURE_FILE = "failure.json"


def leave_failure(run_dir: Path, failure: StartFailure) -> None:
    """Say, in the server, why it cannot serve; atomic."""
    temporary = run_dir / f".{_FAILURE_FILE}"
    temporary.write_text(json.dumps(failure._asdict()), encoding="utf-8")
    temporary.replace(run_dir / _FAILURE_FILE)


def find_failure(run_dir: Path) -> StartFailure | None:
    """Return, in the parent, what the server said; None where there is nothing to tell."""
    try:
        said = json.loads((run_dir / _FAILURE_FILE).read_text(encoding="utf-8"))
        return StartFailure(str(said["cause"]), str(said["remedy"]), int(said["exit_code"]))
    except (OSError, ValueError, KeyError):
        return None


def forget_failure(run_dir: Path) -> None:
    """Clear the way, in the parent, for a new server."""
    (run_dir / _FAILURE_FILE).unlink(missing_ok=True)
