"""What this server says about itself and its models, whichever protocol asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import modelyard_runtime
from modelyard_runtime.server.service import Service

NAME = "modelyard-runtime"
VERSION = modelyard_runtime.__version__
PLATFORM = "python_script"


def extensions(service: Service) -> tuple[str, ...]:
    """List what this server does beyond the protocol's core."""
    return ("binary_tensor_data", *(("model_repository",) if service.contract.multi_model else ()))


def is_ready(service: Service, name: str, version: str) -> bool:
    """Whether a model takes requests now; asking loads nothing. Raises `NotFound`."""
    service.versions(name, version)
    return (name, version) in service.pools


def declared(
    service: Service, name: str, version: str
) -> tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]]:
    """Return the tensors that a model's script says it takes and gives; none where it says nothing."""
    pool = service.pools.get((name, version))
    about = pool.description if pool is not None else None
    return (about.tensors_in or (), about.tensors_out or ()) if about is not None else ((), ())
