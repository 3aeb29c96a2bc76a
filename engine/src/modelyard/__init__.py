"""Modelyard: from a folder with a model to a served, scaled, protected endpoint.

`Engine` runs a controller in this process, `Client` talks to one that runs already, `hookimpl`
marks a plugin's hooks. Everything that crosses the plugin border is in `modelyard.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.client import Client
    from modelyard.daemon import Engine
    from modelyard.hookspecs import hookimpl

__all__ = ["Client", "Engine", "__version__", "hookimpl"]

__version__ = "0.1.0"

_HOMES = {
    "Client": "modelyard.client",
    "Engine": "modelyard.daemon",
    "hookimpl": "modelyard.hookspecs",
}


def __getattr__(name: str) -> Any:
    # Lazy: `import modelyard` must cost nothing, and `engine --help` less than 150 ms.
    if name not in _HOMES:
        msg = f"module 'modelyard' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
