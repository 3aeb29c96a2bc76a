"""The plugin of the how-to is a plugin like any other."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from modelyard.api import PluginSettings, PluginState, Scaler, ScalingLimits, ScalingObservation
from modelyard.host import load
from modelyard.testing import ScalerConformance

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "examples" / "plugin-night-scaler" / "src"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SOURCE))


class TestNightScaler(ScalerConformance):
    @pytest.fixture
    def scaler(self) -> Scaler:
        from night_scaler.scaler import NightScaler

        return NightScaler(hour=lambda: 12)


def test_the_host_loads_it_from_its_entry_point():
    host = load(PluginSettings(), entry_points=[EntryPoint("night", "night_scaler.plugin", "modelyard")])
    try:
        assert [(record.name, record.state) for record in host.records] == [("night", PluginState.ACTIVE)]
        assert "night" in host.scalers
    finally:
        host.close()


def test_at_night_it_wants_the_least_whatever_the_load():
    from night_scaler.scaler import NightScaler

    limits = ScalingLimits(1, 9, 70, 1.0, 1)
    busy = ScalingObservation(at_s=0, in_flight=8, replicas=1, starting=0, limits=limits)
    assert NightScaler(hour=lambda: 23).desired(busy).wanted == 1
    assert NightScaler(hour=lambda: 12).desired(busy).wanted == 8


def test_its_wheel_builds_and_carries_the_entry_point(tmp_path: Path):
    import zipfile

    import uv

    subprocess.run(
        [
            *(uv.find_uv_bin(), "build", "--quiet", "--wheel", "--no-build-isolation", "--offline"),
            *("--python", sys.executable, "--out-dir", tmp_path, SOURCE.parent),
        ],
        check=True,
    )
    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert b"night = night_scaler.plugin" in wheel.read(entry_points)
