"""The registry plugin keeps the promises that every registry and every plugin makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelyard.api import Registry
from modelyard.testing import PluginConformance, RegistryConformance
from modelyard_registry import OciLayoutRegistry


class TestOciLayout(RegistryConformance):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Registry:
        return OciLayoutRegistry(tmp_path / "registry")


class TestRegistryPlugin(PluginConformance):
    @pytest.fixture
    def plugin_name(self) -> str:
        return "registry"
