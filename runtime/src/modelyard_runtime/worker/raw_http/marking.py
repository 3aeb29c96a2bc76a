"""`@rawhttp`, as v1 means it: one mark for the whole script, wherever the decorator was imported from."""

from __future__ import annotations

import sys
from typing import Any, Callable, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
REAL_MODULE = "azureml_inference_server_http.api.aml_request"
_REAL_MARK = "_rawHttpRequested"


class _Mark:
    asked = False


def rawhttp(function: _Function) -> _Function:
    """Mark the script: `run()` gets the request itself."""
    _Mark.asked = True
    return function


def is_marked() -> bool:
    """Say whether the script asked for HTTP itself."""
    return _Mark.asked or bool(getattr(sys.modules.get(REAL_MODULE), _REAL_MARK, False))


def forget() -> None:
    """Take the mark away before a script is loaded."""
    _Mark.asked = False
    real = sys.modules.get(REAL_MODULE)
    if getattr(real, _REAL_MARK, False):
        setattr(real, _REAL_MARK, False)
