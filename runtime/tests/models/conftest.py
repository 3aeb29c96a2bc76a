"""A replica's application with models that come and go."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from modelyard_runtime.contract import ModelEntry

sys.path.insert(0, str(Path(__file__).parent))

from coming_and_going import SCRIPT, Models  # a module of this folder

Scenario = Callable[[Models], Awaitable[Any]]


@pytest.fixture
def many(serve: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run a scenario with these models: `many(scenario, {"a:1": {...}}, **contract fields)`."""

    def run(scenario: Scenario, models: dict[str, dict[str, Any]] | None = None, **fields: Any) -> Any:
        known = {"a:1": {}, "b:1": {}, "b:2": {}} if models is None else models
        folder = tmp_path / "models"

        async def live(client: Any) -> Any:
            return await scenario(Models(client, folder))

        for model, about in known.items():
            Models(None, folder).write(model, **about)
        entries = tuple(
            ModelEntry(name=name, version=version, path=str(folder / name / version))
            for name, version in (model.split(":") for model in known)
        )
        settings = {"isolation": "process", "backoff_initial_s": 0.2, "backoff_max_s": 0.2, **fields}
        return serve(SCRIPT, live, multi_model=True, models=entries, **settings)

    return run
