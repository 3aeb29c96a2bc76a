"""Bodies of requests as the framework hands them over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelyard.api import ServiceSpec

Body = dict[str, Any]


def spec_of(raw: Body) -> ServiceSpec:
    """Read a service's specification. Raises `SpecError` with every mistake."""
    from modelyard.spec import parse_service

    return parse_service(raw, base=Path("/"), file="request")
