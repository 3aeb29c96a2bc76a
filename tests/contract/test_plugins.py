"""The installed plugins, together: each keeps the promise of a plugin, and a broken stranger stops none."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import pytest
from modelyard.api import Maturity, PluginSettings, PluginState
from modelyard.host import load
from modelyard.testing import PluginConformance, plugin_from

OURS = ("auth", "cpu", "fpga", "gpu", "registry")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Keep plugins that look for the engine's folders away from the user's own."""
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))


@pytest.mark.parametrize("plugin_name", [*OURS, "builtin"], scope="class")
class TestEveryPlugin(PluginConformance):
    @pytest.fixture
    def plugin_name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


def broken_demo() -> EntryPoint:
    def offer_devices(unknown: int) -> list[object]:
        return [unknown]

    return plugin_from("a_broken_demo", offer_devices=offer_devices)


def test_all_five_are_active_beside_the_engines_own():
    host = load(PluginSettings())
    states = {record.name: (record.state, record.reason) for record in host.records}
    host.close()
    assert {name: states[name] for name in OURS} == dict.fromkeys(OURS, (PluginState.ACTIVE, ""))
    assert states["builtin"] == (PluginState.ACTIVE, "")


def test_a_broken_demo_plugin_does_not_stop_the_five():
    host = load(PluginSettings(), entry_points=[broken_demo(), *entry_points(group="modelyard")])
    states = {record.name: record.state for record in host.records}
    host.close()
    assert states.pop("a_broken_demo") is PluginState.BROKEN
    assert {name: states[name] for name in OURS} == dict.fromkeys(OURS, PluginState.ACTIVE)


def test_a_plugin_that_claims_our_records_first_breaks_ours_and_both_are_named():
    class Rival:
        name, kind, maturity = "cpu", "cpu", Maturity.ALPHA
        discover = request = health = print

    rival = plugin_from("a_rival", offer_devices=[Rival()])
    host = load(PluginSettings(), entry_points=[rival, *entry_points(group="modelyard", name="cpu")])
    reasons = {record.name: record.reason for record in host.records}
    host.close()
    assert reasons["cpu"] == "plugins 'a_rival' and 'cpu' both offer 'cpu' among devices"


def test_what_the_five_offer_is_complete():
    host = load(PluginSettings())
    offered = {name for record in host.records if record.name in OURS for name in record.offers}
    host.close()
    assert offered >= {
        "authenticators:key",
        "checks:cpu",
        "checks:fpga",
        "devices:cpu",
        "devices:fpga",
        "devices:gpu",
        "registries:docker-daemon",
        "registries:oci-layout",
    }
