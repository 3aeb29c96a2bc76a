"""Every way in which a plugin may be broken ends in a record with a reason, and harms nobody else."""

from __future__ import annotations

import asyncio
import importlib.metadata
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest
from modelyard.api import (
    Candidate,
    Maturity,
    PluginBroken,
    PluginFailed,
    PluginSettings,
    PluginState,
    Refusal,
    ServiceSpec,
    UserError,
)
from modelyard.host import Host, load
from modelyard.testing import FakeDeviceBackend, FakeTarget, InMemoryRegistry, plugin_from
from modelyard.testing.pytest_plugin import HostMaker

QUICK = PluginSettings(hook_timeout_seconds=0.5)
HEALTHY = "healthy"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Hold back what hangs until the test is over, so that no thread outlives it."""
    opened = threading.Event()
    yield opened
    opened.set()


def healthy() -> EntryPoint:
    return plugin_from(HEALTHY, offer_devices=[FakeDeviceBackend(name="good")])


def broken_reason(host: Host, name: str) -> str:
    """Give the broken plugin's reason, having made sure that its healthy neighbour works."""
    records = {record.name: record for record in host.records}
    assert records[HEALTHY].state is PluginState.ACTIVE
    assert list(host.devices) == ["good"]
    assert asyncio.run(host.call("devices", "good", "discover")) == ()
    assert records[name].state is PluginState.BROKEN
    return records[name].reason


def module_that(monkeypatch: pytest.MonkeyPatch, tmp_path: object, source: str) -> EntryPoint:
    """Write a real module, to be imported by a real entry point."""
    from pathlib import Path

    Path(str(tmp_path), "stranger_plugin.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "stranger_plugin", raising=False)
    return EntryPoint("stranger", "stranger_plugin", "modelyard")


def veto_nothing(spec: ServiceSpec, candidate: Candidate) -> Refusal | None:
    del spec, candidate


def unknown_argument(sepc: ServiceSpec) -> Refusal | None:
    del sepc


def held(gate: threading.Event) -> Callable[[], list[object]]:
    def hang() -> list[object]:
        gate.wait()
        return []

    return hang


def listening(heard: list[PluginBroken]) -> Callable[[PluginBroken], None]:
    def listen(event: PluginBroken) -> None:
        heard.append(event)

    return listen


async def offer_later() -> list[object]:
    return []


def raise_in_offer() -> list[object]:
    msg = "no such device tree"
    raise OSError(msg)


def test_a_missing_module_breaks_its_plugin_alone(host_with: HostMaker):
    host = host_with(EntryPoint("ghost", "no_such_module_anywhere", "modelyard"), healthy())
    assert "No module named 'no_such_module_anywhere'" in broken_reason(host, "ghost")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import sys; sys.exit(3)", "import failed: SystemExit: 3"),
        ("raise KeyboardInterrupt", "import failed: KeyboardInterrupt"),
        ("1 / 0", "ZeroDivisionError"),
        ("api_level = 1\n1 +", "SyntaxError"),
    ],
)
def test_a_module_that_fails_at_import_breaks_its_plugin_alone(
    host_with: HostMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: object, source: str, reason: str
):
    host = host_with(module_that(monkeypatch, tmp_path, source), healthy())
    assert reason in broken_reason(host, "stranger")


def test_a_module_that_hangs_at_import_breaks_its_plugin_alone(host_with: HostMaker, gate: threading.Event):
    class Hanging(EntryPoint):
        def load(self) -> object:
            return gate.wait()

    host = host_with(Hanging("slow", "slow", "modelyard"), healthy(), settings=QUICK)
    assert broken_reason(host, "slow") == "import: no answer within 2 s"


def test_a_misspelt_hook_breaks_its_plugin_and_the_right_name_is_given(host_with: HostMaker):
    host = host_with(plugin_from("typo", ofer_devices=[]), healthy())
    assert (
        broken_reason(host, "typo")
        == "it implements the unknown hook 'ofer_devices'; did you mean 'offer_devices'?"
    )


def test_an_unknown_argument_breaks_its_plugin_and_is_named(host_with: HostMaker):
    host = host_with(plugin_from("argh", veto_placement=unknown_argument), healthy())
    assert "sepc" in broken_reason(host, "argh")


def test_a_plugin_without_hooks_is_broken(host_with: HostMaker):
    host = host_with(plugin_from("mute"), healthy())
    assert "it implements no hook" in broken_reason(host, "mute")


@pytest.mark.parametrize("level", [None, 0, 2, "1", True, 1.0])
def test_a_wrong_or_missing_api_level_breaks_its_plugin(host_with: HostMaker, level: object):
    host = host_with(plugin_from("future", api_level=level, veto_placement=veto_nothing), healthy())
    reason = broken_reason(host, "future")
    assert "api_level" in reason
    assert "this engine serves 1" in reason


def test_a_maturity_of_the_wrong_type_breaks_its_plugin(host_with: HostMaker):
    host = host_with(plugin_from("ripe", maturity="stable", veto_placement=veto_nothing), healthy())
    assert "maturity" in broken_reason(host, "ripe")


def test_an_async_hook_breaks_its_plugin(host_with: HostMaker):
    host = host_with(plugin_from("later", offer_devices=offer_later), healthy())
    assert "is async" in broken_reason(host, "later")


def test_a_record_name_offered_twice_breaks_the_later_plugin_and_names_both(host_with: HostMaker):
    later = plugin_from("rival", offer_devices=[FakeDeviceBackend(name="good")])
    host = host_with(later, healthy())
    assert broken_reason(host, "rival") == "plugins 'healthy' and 'rival' both offer 'good' among devices"
    assert host.owner("devices", "good") == HEALTHY


def test_one_name_may_be_used_among_two_kinds(host_with: HostMaker):
    same = plugin_from(
        "same", offer_targets=[FakeTarget(name="good")], offer_registries=[InMemoryRegistry("good")]
    )
    host = host_with(same, healthy())
    assert [record.state for record in host.records] == [PluginState.ACTIVE] * 2


def test_a_plugin_that_offers_one_name_twice_is_broken(host_with: HostMaker):
    twin = plugin_from("twin", offer_targets=[FakeTarget(name="a"), FakeTarget(name="a")])
    assert "'twin' and 'twin' both offer 'a'" in broken_reason(host_with(twin, healthy()), "twin")


def test_a_plugin_name_taken_by_another_distribution_breaks_the_later(host_with: HostMaker):
    first = plugin_from("gpu", distribution="modelyard-gpu", veto_placement=veto_nothing)
    second = plugin_from("gpu", distribution="other-gpu", veto_placement=veto_nothing)
    records = host_with(second, first).records
    assert [(one.distribution, one.state) for one in records] == [
        ("modelyard-gpu", PluginState.ACTIVE),
        ("other-gpu", PluginState.BROKEN),
    ]
    assert "modelyard-gpu" in records[1].reason


def test_the_engines_own_name_none_cannot_be_offered(host_with: HostMaker):
    class Open:
        name, maturity = "none", Maturity.STABLE
        issue = rotate = revoke = compile = print

    host = host_with(plugin_from("open", offer_authenticators=[Open()]), healthy())
    assert "the engine's own" in broken_reason(host, "open")


def test_an_offer_that_raises_breaks_its_plugin(host_with: HostMaker):
    host = host_with(plugin_from("angry", offer_devices=raise_in_offer), healthy())
    assert broken_reason(host, "angry") == "offer_devices raised OSError: no such device tree"


def test_an_offer_that_hangs_breaks_its_plugin(host_with: HostMaker, gate: threading.Event):
    host = host_with(plugin_from("slow", offer_devices=held(gate)), healthy(), settings=QUICK)
    assert broken_reason(host, "slow") == "offer_devices: no answer within 0.5 s"


@pytest.mark.parametrize("answer", [(), {}, "devices", FakeDeviceBackend(name="alone")])
def test_an_offer_that_is_no_list_breaks_its_plugin(host_with: HostMaker, answer: object):
    host = host_with(plugin_from("loose", offer_devices=lambda: answer), healthy())
    assert "not a list" in broken_reason(host, "loose")


def test_offering_none_breaks_the_plugin(host_with: HostMaker):
    host = host_with(plugin_from("nil", offer_devices=lambda: None), healthy())
    assert "gave None" in broken_reason(host, "nil")


def test_a_record_that_lacks_a_method_breaks_its_plugin_and_the_method_is_named(host_with: HostMaker):
    class Half:
        name, kind, maturity = "half", "half", Maturity.ALPHA
        discover = health = print

    host = host_with(plugin_from("half", offer_devices=[Half()]), healthy())
    assert (
        broken_reason(host, "half") == "offer_devices gave Half, which is no DeviceBackend: it lacks request"
    )


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_record_without_a_proper_name_breaks_its_plugin(host_with: HostMaker, name: object):
    nameless = FakeDeviceBackend(name=name)  # type: ignore[arg-type]  # on purpose
    assert "whose name is" in broken_reason(
        host_with(plugin_from("anon", offer_devices=[nameless]), healthy()), "anon"
    )


def test_none_of_a_broken_plugins_records_is_handed_out(host_with: HostMaker):
    mixed = plugin_from("mixed", offer_targets=[FakeTarget()], offer_checks=lambda: None)
    assert not host_with(mixed, healthy()).targets


def test_a_disabled_plugin_is_shown_and_never_imported(host_with: HostMaker):
    class Explosive(EntryPoint):
        def load(self) -> object:
            pytest.fail("a disabled plugin was imported")

    settings = PluginSettings(disabled=frozenset({"off"}))
    host = host_with(Explosive("off", "off", "modelyard"), healthy(), settings=settings)
    (record,) = [one for one in host.records if one.name == "off"]
    assert record.state is PluginState.DISABLED
    assert record.reason == "switched off by plugins.disabled"


def test_a_missing_required_plugin_stops_the_load(host_with: HostMaker):
    with pytest.raises(UserError, match="not installed: gpu") as caught:
        host_with(healthy(), settings=PluginSettings(required=frozenset({"gpu"})))
    assert HEALTHY in caught.value.remedy


def test_a_broken_required_plugin_stops_the_load(host_with: HostMaker):
    with pytest.raises(PluginFailed, match="unknown hook") as caught:
        host_with(plugin_from("typo", nope=[]), settings=PluginSettings(required=frozenset({"typo"})))
    assert caught.value.plugin == "typo"


def test_a_plugin_cannot_be_required_and_disabled(host_with: HostMaker):
    both = frozenset({HEALTHY})
    with pytest.raises(UserError, match="both required and disabled: healthy"):
        host_with(healthy(), settings=PluginSettings(required=both, disabled=both))


def test_strict_settings_turn_any_broken_plugin_into_a_failure(host_with: HostMaker):
    with pytest.raises(PluginFailed, match="typo"):
        host_with(healthy(), plugin_from("typo", nope=[]), settings=PluginSettings(strict=True))


def test_strict_settings_accept_disabled_plugins(host_with: HostMaker):
    settings = PluginSettings(strict=True, disabled=frozenset({"typo"}))
    assert len(host_with(healthy(), plugin_from("typo", nope=[]), settings=settings).records) == 2


def test_records_say_what_a_plugin_is_and_offers(host_with: HostMaker):
    full = plugin_from(
        "full",
        distribution="acme-full",
        version="2.1",
        maturity=Maturity.BETA,
        veto_placement=veto_nothing,
        offer_devices=[FakeDeviceBackend(name="a"), FakeDeviceBackend(name="b")],
    )
    (record,) = host_with(full, settings=PluginSettings(required=frozenset({"full"}))).records
    assert (record.distribution, record.version, record.api_level) == ("acme-full", "2.1", 1)
    assert (record.maturity, record.required) == (Maturity.BETA, True)
    assert record.hooks == ("offer_devices", "veto_placement")
    assert record.offers == ("devices:a", "devices:b")


def test_plugins_are_ordered_by_name_whatever_order_they_come_in(host_with: HostMaker):
    points = [plugin_from(name, veto_placement=veto_nothing) for name in "cab"]
    forwards = host_with(*points).records
    assert forwards == host_with(*reversed(points)).records
    assert [record.name for record in forwards] == ["a", "b", "c"]


def test_plugins_that_listen_hear_of_those_that_broke_at_load(host_with: HostMaker):
    heard: list[PluginBroken] = []
    ear = plugin_from("zz_ear", on_plugin_broken=listening(heard))
    host_with(plugin_from("typo", nope=[]), ear)
    assert [event.record.name for event in heard] == ["typo"]


def test_installed_plugins_are_found_by_their_entry_points():
    names = {point.name for point in importlib.metadata.entry_points(group="modelyard")}
    host = load(PluginSettings())
    assert {record.name for record in host.records} == names
    assert all(record.distribution and record.version for record in host.records)
    host.close()


def test_a_hung_plugin_does_not_keep_the_interpreter_alive():
    program = """
        import threading
        from modelyard.api import PluginSettings
        from modelyard.host import load
        from modelyard.testing import plugin_from
        hang = plugin_from("hang", offer_devices=lambda: threading.Event().wait())
        host = load(PluginSettings(hook_timeout_seconds=0.1), entry_points=[hang])
        print(host.records[0].state.value)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ended.stdout == "broken\n"


WRONG: list[tuple[str, Callable[[], EntryPoint]]] = [
    ("no module", lambda: EntryPoint("bad0", "no_such_module_anywhere", "modelyard")),
    ("typo", lambda: plugin_from("bad1", nope=[])),
    ("level", lambda: plugin_from("bad2", api_level=9, veto_placement=veto_nothing)),
    ("raises", lambda: plugin_from("bad3", offer_devices=raise_in_offer)),
    ("duplicate", lambda: plugin_from("zbad4", offer_devices=[FakeDeviceBackend(name="good")])),
    ("mute", lambda: plugin_from("bad5")),
]


def test_all_kinds_of_broken_plugins_together_leave_the_healthy_one_active(host_with: HostMaker):
    host = host_with(*(make() for _, make in WRONG), healthy())
    states = {record.name: record.state for record in host.records}
    assert states.pop(HEALTHY) is PluginState.ACTIVE
    assert set(states.values()) == {PluginState.BROKEN}
    assert len(states) == len(WRONG)
    assert all(record.reason for record in host.records if record.name != HEALTHY)
