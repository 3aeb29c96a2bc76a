"""An empty layout folder whose time stands still until a test moves it."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelyard_registry.layout import OciLayoutRegistry

from plugins.registry.tests.layout.pushing import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> OciLayoutRegistry:
    return OciLayoutRegistry(tmp_path / "registry", clock=clock)
