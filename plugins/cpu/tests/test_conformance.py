"""The cpu plugin keeps every promise of what it offers, on this very machine."""

from __future__ import annotations

import pytest
from modelyard.testing import CheckConformance, DeviceBackendConformance, PluginConformance
from modelyard_cpu import CpuBackend, CpuCheck


class TestBackend(DeviceBackendConformance):
    shared = True

    @pytest.fixture
    def backend(self) -> CpuBackend:
        return CpuBackend()


class TestCheck(CheckConformance):
    @pytest.fixture
    def check(self) -> CpuCheck:
        return CpuCheck()


class TestPlugin(PluginConformance):
    @pytest.fixture
    def plugin_name(self) -> str:
        return "cpu"
