"""Bring the entry script into this process: its folders on the path, its module under its own name."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType

from .extra_packages import extra_packages
from .failures import ScriptError
from .styles.schema import forget

SCRIPT_MISSING = 10
LIBRARY_VARIABLE = "AZUREML_EXTRA_PYTHON_LIB_PATH"
"""v1: a folder beside the entry script that goes on the path."""
DRIVER_ATTRIBUTE = "driver_module"
"""v1's generated wrapper scripts hold the user's own module here."""
_FALLBACK_NAME = "entry_module"

_entries: set[str] = set()
"""Modules that came in through this file, so that only those are ever replaced."""


def import_entry(code_dir: str, entry: str) -> ModuleType:
    """Import the entry script. Raises `ScriptError`, or whatever its import raises."""
    path = os.path.join(os.path.abspath(code_dir), *entry.split("/"))
    if not os.path.isfile(path):
        raise ScriptError(
            f"the entry script {entry} is not in the code folder",
            remedy="set code.entry to the script's path inside code.source",
            exit_code=SCRIPT_MISSING,
        )
    _extend_path(os.path.abspath(code_dir), os.path.dirname(path))
    name = _module_name(path)
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ScriptError(
            f"{entry} is not a Python file",
            remedy="the entry script's name must end in .py",
            exit_code=SCRIPT_MISSING,
        )
    module = importlib.util.module_from_spec(specification)
    forget(name)
    sys.modules[name] = module
    _entries.add(name)
    specification.loader.exec_module(module)
    return module


def scored_module(module: ModuleType) -> ModuleType:
    """Return the module whose `run()` counts: v1 looks through the wrappers its tools generate."""
    inner = getattr(module, DRIVER_ATTRIBUTE, None)
    return inner if isinstance(inner, ModuleType) and hasattr(inner, "run") else module


def _extend_path(code_dir: str, script_folder: str) -> None:
    extra = os.environ.get(LIBRARY_VARIABLE, "")
    folders = [os.path.join(script_folder, extra)] if extra else []
    for folder in [extra_packages(script_folder), *folders, script_folder, code_dir]:
        if folder and folder not in sys.path:
            sys.path.insert(0, folder)


def _module_name(path: str) -> str:
    """Return the script's own name, so that its other files can import it, unless something else has it."""
    name = os.path.splitext(os.path.basename(path))[0]
    return name if name in _entries or name not in sys.modules else _FALLBACK_NAME
