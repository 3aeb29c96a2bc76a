"""v1's import paths for scripts: found after everything else, so a real package always wins."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any, Callable, Dict, Sequence

from .model_paths import Model
from .raw_http import marking, own, with_flask

Names = Dict[str, Any]
_REAL_RESPONSE = "azureml_inference_server_http.api.aml_response"


def has_flask() -> bool:
    """Say whether the environment has Flask; not yet imported, if it need not be."""
    return "flask" in sys.modules or importlib.util.find_spec("flask") is not None


def _request() -> Names:
    return {"AMLRequest": _request_class(), "rawhttp": marking.rawhttp}


def _request_class() -> Any:
    if not has_flask():
        return own.AMLRequest
    return with_flask.request_class_as_v1() if _ALIASES.strict else with_flask.request_class()


def _response() -> Names:
    return {"AMLResponse": with_flask.response_class() if has_flask() else own.AMLResponse}


def _of_server(name: str, otherwise: Callable[[], Names]) -> Callable[[], Names]:
    """Take the names from v1's server where it is installed: its own objects must be the same everywhere."""

    def names() -> Names:
        module = importlib.import_module(name)
        return {key: value for key, value in vars(module).items() if not key.startswith("_")} or otherwise()

    return names


_MODULES: dict[str, Callable[[], Names]] = {
    marking.REAL_MODULE: _request,
    _REAL_RESPONSE: _response,
    "azureml.contrib.services.aml_request": _of_server(marking.REAL_MODULE, _request),
    "azureml.contrib.services.aml_response": _of_server(_REAL_RESPONSE, _response),
    "azureml.core.model": lambda: {"Model": Model},
}
_PACKAGES: dict[str, Callable[[], Names]] = {
    **{name.rpartition(".")[0]: dict for name in _MODULES},
    **dict.fromkeys(("azureml", "azureml.contrib", "azureml_inference_server_http"), dict),
    "azureml.core": lambda: {"Model": Model},
}


class _Aliases(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and makes the modules above."""

    strict = False
    """Whether `AMLRequest` is the class that it was in v1."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # importlib's signature
        target: ModuleType | None = None,  # noqa: ARG002  # the same
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for names that nobody else has."""
        if fullname not in _MODULES and fullname not in _PACKAGES:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname in _PACKAGES)

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module."""
        vars(module).update((_MODULES.get(module.__name__) or _PACKAGES[module.__name__])())


_ALIASES = _Aliases()


def offer(*, strict: bool = False) -> None:
    """Make v1's names importable."""
    _ALIASES.strict = strict
    if _ALIASES not in sys.meta_path:
        sys.meta_path.append(_ALIASES)
