"""What this server says about itself and its models, whichever protocol asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import modelyard_runtime
from modelyard_runtime.server.service import Service

NAME = "modelyard-runtime"
VERSION = modelyard_runtime.__version__
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "python_script"


def is_ready(service: Service, name: str, version: str) -> bool:
    """Whether a model takes requests now; asking loads nothing. Raises `NotFound`."""
    service.versions(name, version)
    return (name or service.contract.service, version) in service.pools


def declared(
    service: Service, name: str, version: str
) -> tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]]:
    """Return the tensors that a model's script says it takes and gives; none where it says nothing."""
    pool = service.pools.get((name or service.contract.service, version))
    about = pool.description if pool is not None else None
    return (about.tensors_in or (), about.tensors_out or ()) if about is not None else ((), ())
