"""A host at work: what records and hooks answer, what their failures do, and what a hang costs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelyard.api import (
    Candidate,
    CodeRef,
    Deleted,
    DeviceGrant,
    DeviceRequest,
    EnvironmentSpec,
    ImageRef,
    Maturity,
    NotFound,
    Platform,
    PluginBroken,
    PluginFailed,
    PluginSettings,
    PluginState,
    Refusal,
    ServiceSpec,
    Unavailable,
)
from modelyard.host import Host, load
from modelyard.testing import FakeDeviceBackend, FakeTarget, plugin_from
from modelyard.testing.pytest_plugin import HostMaker

QUICK = PluginSettings(hook_timeout_seconds=0.5)
SPEC = ServiceSpec(name="digits", code=CodeRef(source="/code", entry="score.py"))
PLACE = Candidate(node="here", free_millicores=1000, free_memory_bytes=1 << 30)
AMD64 = Platform("linux", "amd64")
ENVIRONMENT = EnvironmentSpec(requirements=("numpy",))
IMAGE = ImageRef("company", "images/ready", f"sha256:{'a' * 64}")
NO = Refusal(plugin="somebody", code="no", message="no room")


@attrs.define
class OddBackend(FakeDeviceBackend):
    """A backend whose `health` does what it is told."""

    work: Callable[[], Any] = tuple

    def health(self) -> Any:
        return self.work()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    opened = threading.Event()
    yield opened
    opened.set()


def raising(error: BaseException) -> Callable[[], Any]:
    def work() -> None:
        raise error

    return work


def veto(answer: object) -> Callable[..., object]:
    def veto_placement(spec: ServiceSpec, candidate: Candidate) -> object:
        assert (spec, candidate) == (SPEC, PLACE)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return veto_placement


def score(answer: object) -> Callable[..., object]:
    def score_placement(candidate: Candidate) -> object:
        assert candidate == PLACE
        return answer

    return score_placement


def resolving(answer: object, asked: list[str] | None = None, name: str = "") -> Callable[..., object]:
    def resolve_image(spec: EnvironmentSpec, platform: Platform) -> object:
        assert (spec, platform) == (ENVIRONMENT, AMD64)
        if asked is not None:
            asked.append(name)
        return answer

    return resolve_image


def listener(heard: list[object], error: Exception | None = None) -> Callable[..., None]:
    def listen(event: object) -> None:
        heard.append(event)
        if error:
            raise error

    return listen


def hanging_listener(gate: threading.Event) -> Callable[..., None]:
    def listen(event: object) -> None:
        del event
        gate.wait()

    return listen


def with_odd(host_with: HostMaker, work: Callable[[], Any], **hooks: Any) -> Host:
    odd = plugin_from("odd", offer_devices=[OddBackend(name="odd", work=work)])
    return host_with(odd, plugin_from("other", **hooks), settings=QUICK)


def ask_health(host: Host, **options: float) -> object:
    return asyncio.run(host.call("devices", "odd", "health", **options))


def ask_odd(host_with: HostMaker, work: Callable[[], Any]) -> object:
    return ask_health(host_with(plugin_from("odd", offer_devices=[OddBackend(name="odd", work=work)])))


def test_a_call_gives_what_the_record_answers(host_with: HostMaker):
    host = host_with(plugin_from("odd", offer_devices=[FakeDeviceBackend(name="odd")]))
    request = DeviceRequest(kind="fake", count=0)
    answer = asyncio.run(host.call("devices", "odd", "request", request, frozenset()))
    assert isinstance(answer, DeviceGrant)


def test_a_call_runs_outside_the_event_loops_thread(host_with: HostMaker):
    assert ask_odd(host_with, threading.current_thread) is not threading.main_thread()


def test_our_own_errors_pass_through_a_call(host_with: HostMaker):
    error = Unavailable("the card is busy", remedy="wait")
    with pytest.raises(Unavailable) as caught:
        ask_odd(host_with, raising(error))
    assert caught.value is error


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(0), KeyboardInterrupt(), StopIteration(1)])
def test_any_other_error_of_a_record_names_its_plugin_and_leaves_it_active(
    host_with: HostMaker, error: BaseException
):
    host = with_odd(host_with, raising(error), on_deleted=listener([]))
    with pytest.raises(PluginFailed, match=type(error).__name__) as caught:
        ask_health(host)
    assert (caught.value.plugin, caught.value.moment) == ("odd", "devices:odd.health")
    assert {record.state for record in host.records} == {PluginState.ACTIVE}


def test_a_record_method_that_turns_out_to_be_async_is_a_failure(host_with: HostMaker):
    async def later() -> None:
        pass

    with pytest.raises(PluginFailed, match="is async"):
        ask_odd(host_with, later)


def test_a_record_that_hangs_loses_its_plugin_and_the_others_hear_of_it(
    host_with: HostMaker, gate: threading.Event
):
    heard: list[PluginBroken] = []
    host = with_odd(host_with, gate.wait, on_plugin_broken=listener(heard))  # type: ignore[arg-type]  # only events of this kind come
    with pytest.raises(PluginFailed, match=r"no answer within 0\.5 s"):
        ask_health(host)
    assert "odd" not in host.devices
    odd, other = host.records
    assert (odd.state, odd.reason) == (PluginState.BROKEN, "devices:odd.health: no answer within 0.5 s")
    assert other.state is PluginState.ACTIVE
    assert [event.record for event in heard] == [odd]


def test_a_broken_plugin_is_not_asked_again(host_with: HostMaker, gate: threading.Event):
    host = with_odd(host_with, gate.wait, on_deleted=listener([]))
    with pytest.raises(PluginFailed):
        ask_health(host)
    with pytest.raises(NotFound, match="no active plugin offers 'odd'"):
        ask_health(host)


def test_two_calls_that_hang_at_once_break_the_plugin_once(host_with: HostMaker, gate: threading.Event):
    heard: list[object] = []
    host = with_odd(host_with, gate.wait, on_plugin_broken=listener(heard))

    async def twice() -> list[object]:
        calls = (host.call("devices", "odd", "health") for _ in range(2))
        return list(await asyncio.gather(*calls, return_exceptions=True))

    assert [type(answer) for answer in asyncio.run(twice())] == [PluginFailed, PluginFailed]
    assert len(heard) == 1
    assert len(host.records) == 2


def test_a_caller_may_set_a_limit_of_its_own(host_with: HostMaker, gate: threading.Event):
    host = with_odd(host_with, gate.wait, on_deleted=listener([]))
    with pytest.raises(PluginFailed, match=r"no answer within 0\.05 s"):
        ask_health(host, timeout_seconds=0.05)


def test_a_slow_record_does_not_stop_the_event_loop(host_with: HostMaker, gate: threading.Event):
    def slow() -> tuple[()]:
        assert gate.wait(10)
        return ()

    host = host_with(plugin_from("odd", offer_devices=[OddBackend(name="odd", work=slow)]))

    async def open_while_waiting() -> object:
        call = asyncio.ensure_future(host.call("devices", "odd", "health"))
        await asyncio.sleep(0)
        gate.set()  # reached only if the loop still turns
        return await call

    assert asyncio.run(open_while_waiting()) == ()


def test_an_unknown_record_is_not_found_and_those_there_are_named(host_with: HostMaker):
    host = host_with(plugin_from("p", offer_devices=[FakeDeviceBackend(name="here")]))
    with pytest.raises(NotFound, match="there are: here"):
        host.owner("devices", "gone")


def test_mappings_of_records_cannot_be_changed(host_with: HostMaker):
    host = host_with(plugin_from("p", offer_devices=[FakeDeviceBackend(name="here")]))
    with pytest.raises(TypeError):
        host.devices["there"] = FakeDeviceBackend()  # type: ignore[index]  # on purpose


def test_a_mapping_in_hand_does_not_change_when_a_plugin_breaks(host_with: HostMaker, gate: threading.Event):
    host = with_odd(host_with, gate.wait, on_deleted=listener([]))
    before = host.devices
    with pytest.raises(PluginFailed):
        ask_health(host)
    assert list(before) == ["odd"]
    assert not host.devices


def test_every_veto_is_given_and_carries_its_plugins_own_name(host_with: HostMaker):
    host = host_with(*(plugin_from(name, veto_placement=veto(NO)) for name in "ba"))
    refusals = asyncio.run(host.veto_placement(SPEC, PLACE))
    assert [(one.plugin, one.code) for one in refusals] == [("a", "no"), ("b", "no")]


def test_nobody_objecting_gives_no_refusal(host_with: HostMaker):
    host = host_with(plugin_from("a", veto_placement=veto(None)))
    assert asyncio.run(host.veto_placement(SPEC, PLACE)) == ()


@pytest.mark.parametrize("answer", [False, 0, "", "no", [], [NO]])
def test_a_veto_that_is_neither_refusal_nor_none_fails_the_request(host_with: HostMaker, answer: object):
    host = host_with(plugin_from("a", veto_placement=veto(answer)))
    with pytest.raises(PluginFailed, match="not a Refusal or None"):
        asyncio.run(host.veto_placement(SPEC, PLACE))


@pytest.mark.parametrize("error", [RuntimeError("x"), Unavailable("x"), SystemExit(1)])
def test_a_veto_that_raises_fails_the_request_and_leaves_the_plugin_active(
    host_with: HostMaker, error: BaseException
):
    host = host_with(plugin_from("a", veto_placement=veto(error)), plugin_from("b", veto_placement=veto(NO)))
    with pytest.raises(PluginFailed) as caught:
        asyncio.run(host.veto_placement(SPEC, PLACE))
    assert (caught.value.plugin, caught.value.moment) == ("a", "veto_placement")
    assert {record.state for record in host.records} == {PluginState.ACTIVE}


def test_a_veto_that_hangs_breaks_the_plugin_and_the_next_request_goes_through(
    host_with: HostMaker, gate: threading.Event
):
    def hang(spec: ServiceSpec) -> None:
        del spec
        gate.wait()

    host = host_with(plugin_from("a", veto_placement=hang), settings=QUICK)
    with pytest.raises(PluginFailed):
        asyncio.run(host.veto_placement(SPEC, PLACE))
    assert host.records[0].state is PluginState.BROKEN
    assert asyncio.run(host.veto_placement(SPEC, PLACE)) == ()


def test_the_score_of_a_place_is_the_mean_of_all_opinions(host_with: HostMaker):
    answers = {"a": 1, "b": None, "c": 0.5}
    host = host_with(*(plugin_from(name, score_placement=score(one)) for name, one in answers.items()))
    assert asyncio.run(host.score_placement(SPEC, PLACE)) == 0.75


def test_without_an_opinion_a_place_scores_one_half(host_with: HostMaker):
    host = host_with(plugin_from("a", score_placement=score(None)))
    assert asyncio.run(host.score_placement(SPEC, PLACE)) == 0.5


@pytest.mark.parametrize("answer", [-0.01, 1.01, float("nan"), float("inf"), "1", True])
def test_a_score_outside_zero_to_one_fails_the_request(host_with: HostMaker, answer: object):
    host = host_with(plugin_from("a", score_placement=score(answer)))
    with pytest.raises(PluginFailed, match="from 0 to 1"):
        asyncio.run(host.score_placement(SPEC, PLACE))


@settings(deadline=None)  # every example loads a host
@given(st.lists(st.none() | st.floats(0, 1), max_size=5))
def test_a_score_always_lies_between_the_lowest_and_the_highest_opinion(answers: list[float | None]):
    points = [plugin_from(f"p{n}", score_placement=score(one)) for n, one in enumerate(answers)]
    given_scores = [one for one in answers if one is not None] or [0.5]
    mean = asyncio.run(load(PluginSettings(), entry_points=points).score_placement(SPEC, PLACE))
    assert min(given_scores) - 1e-12 <= mean <= max(given_scores) + 1e-12


def test_the_first_plugin_that_names_an_image_decides(host_with: HostMaker):
    asked: list[str] = []
    answers = {"a": None, "b": IMAGE, "c": None}
    host = host_with(
        *(plugin_from(name, resolve_image=resolving(one, asked, name)) for name, one in answers.items())
    )
    assert asyncio.run(host.resolve_image(ENVIRONMENT, AMD64)) == IMAGE
    assert asked == ["a", "b"]


def test_no_image_is_named_where_every_plugin_passes(host_with: HostMaker):
    host = host_with(plugin_from("a", resolve_image=resolving(None)))
    assert asyncio.run(host.resolve_image(ENVIRONMENT, AMD64)) is None


def test_a_refused_image_names_the_plugin_that_refused(host_with: HostMaker):
    host = host_with(plugin_from("strict", resolve_image=resolving(NO)))
    answer = asyncio.run(host.resolve_image(ENVIRONMENT, AMD64))
    assert isinstance(answer, Refusal)
    assert (answer.plugin, answer.code) == ("strict", "no")


def test_an_answer_that_is_no_image_fails_the_request(host_with: HostMaker):
    host = host_with(plugin_from("odd", resolve_image=resolving("latest")))
    with pytest.raises(PluginFailed, match="no ImageRef"):
        asyncio.run(host.resolve_image(ENVIRONMENT, AMD64))


def test_a_target_that_takes_images_must_be_able_to_bring_them(host_with: HostMaker):
    (record,) = host_with(plugin_from("half", offer_targets=[FakeTarget(artifact="image")])).records
    assert record.state is PluginState.BROKEN
    assert "bring" in record.reason


def test_every_listener_hears_an_event_though_another_raises(host_with: HostMaker):
    heard: list[object] = []
    host = host_with(
        plugin_from("a", on_deleted=listener([], ValueError("x"))),
        plugin_from("b", on_deleted=listener(heard)),
    )
    asyncio.run(host.notify(Deleted(service="digits")))
    assert heard == [Deleted(service="digits")]
    assert dict(host.observer_failures) == {"a": 1}
    assert {record.state for record in host.records} == {PluginState.ACTIVE}


def test_an_event_is_told_to_those_alone_who_listen_for_it(host_with: HostMaker):
    heard: list[object] = []
    host = host_with(plugin_from("a", on_deployed=listener(heard)))
    asyncio.run(host.notify(Deleted(service="digits")))
    assert not heard


def test_a_listener_that_hangs_is_broken_and_notify_returns(host_with: HostMaker, gate: threading.Event):
    host = host_with(plugin_from("a", on_deleted=hanging_listener(gate)), settings=QUICK)
    asyncio.run(host.notify(Deleted(service="digits")))
    assert host.records[0].state is PluginState.BROKEN
    assert dict(host.observer_failures) == {"a": 1}


def test_a_listener_that_hangs_on_bad_news_of_another_stays_active(
    host_with: HostMaker, gate: threading.Event
):
    host = with_odd(host_with, gate.wait, on_plugin_broken=hanging_listener(gate))
    with pytest.raises(PluginFailed):
        ask_health(host)
    assert [(one.name, one.state) for one in host.records] == [
        ("odd", PluginState.BROKEN),
        ("other", PluginState.ACTIVE),
    ]
    assert dict(host.observer_failures) == {"other": 1}


def test_listeners_that_hang_cost_one_time_limit_together(host_with: HostMaker, gate: threading.Event):
    points = [plugin_from(f"p{n}", on_deleted=hanging_listener(gate)) for n in range(8)]
    host = host_with(*points, settings=QUICK)
    start = time.monotonic()
    asyncio.run(host.notify(Deleted(service="digits")))
    assert time.monotonic() - start < 8 * QUICK.hook_timeout_seconds


def test_a_closed_host_hands_out_nothing(host_with: HostMaker):
    host = host_with(plugin_from("p", offer_devices=[FakeDeviceBackend(name="here")]))
    host.close()
    host.close()
    assert not host.devices
    with pytest.raises(NotFound):
        asyncio.run(host.call("devices", "here", "discover"))


def test_a_plugins_maturity_is_alpha_unless_it_says_more(host_with: HostMaker):
    point = plugin_from("p", on_deleted=listener([]))
    del vars(point.load())["maturity"]
    assert host_with(point).records[0].maturity is Maturity.ALPHA
