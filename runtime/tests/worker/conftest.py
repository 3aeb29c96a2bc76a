"""Loading scripts straight into this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from modelyard_runtime.worker.script import Script, load

Load = Callable[..., Script]


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Load]:
    """Return what writes, loads and initialises a script; paths and modules are put back after it."""
    path, modules = list(sys.path), set(sys.modules)

    def write_and_load(source: str, *, entry: str = "score.py", **options: Any) -> Script:
        (tmp_path / entry).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / entry).write_text(source, encoding="utf-8")
        script = load(str(tmp_path), entry, **options)
        script.init()
        return script

    yield write_and_load
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name in {"score", "entry_module"} or name.startswith("azureml"):
            del sys.modules[name]
