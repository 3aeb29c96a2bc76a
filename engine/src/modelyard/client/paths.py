"""Where the engine's management API has what, for names that people chose."""

from __future__ import annotations

from urllib.parse import quote

from modelyard.api import NotFound


def service(name: str, verb: str = "") -> str:
    """Give the path of a service, or of what can be done with it. Raises `NotFound` for what can be no name."""
    return f"/v1/services/{_segment(name)}" + (f"/{verb}" if verb else "")


def operation(operation_id: str, verb: str = "") -> str:
    """Give the path of an operation, or of what can be done with it. Raises `NotFound` for what can be no id."""
    return f"/v1/operations/{_segment(operation_id)}" + (f"/{verb}" if verb else "")


def _segment(text: str) -> str:
    if text.strip(".") == "":
        raise NotFound(f"no such name: {text!r}", remedy="run `engine list`")
    return quote(text, safe="")
