"""The program of a worker process: `<the user's python> <this folder> CHANNEL HANDLES PARENT`.

Loads the package under a name of its own and takes its folder off the path, so that no module of the
user's, whatever it is called, can meet one of ours.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

_NAME = "_modelyard_worker"


def _load() -> None:
    folder = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if str(Path(entry).resolve()) != folder]
    spec = importlib.util.spec_from_file_location(
        _NAME, str(Path(folder, "__init__.py")), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise ImportError("the worker's own files are not beside " + folder)
    package = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _load()
    sys.exit(importlib.import_module(_NAME + ".process").main(sys.argv[1:]))
