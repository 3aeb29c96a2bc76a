"""A hook's name tells its kind, its docstring answers what an author must know, its types are public."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import get_args, get_origin, get_type_hints

import attrs
import pytest
from modelyard import api, hookspecs
from modelyard.host.host import _OBSERVERS
from modelyard.host.offering import PROTOCOLS

SPECS = {name: value for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.GROUP}_spec")}
OFFERS = sorted(name for name in SPECS if name.startswith("offer_"))
OBSERVERS = sorted(name for name in SPECS if name.startswith("on_"))
DECIDERS = sorted(set(SPECS) - set(OFFERS) - set(OBSERVERS))
NAMES = {**vars(api), **vars(hookspecs)}


def hints(hook: str) -> dict[str, object]:
    return get_type_hints(SPECS[hook], globalns=NAMES)


def doc(hook: str) -> str:
    return " ".join(inspect.getdoc(SPECS[hook]).split())


def test_there_are_hooks_of_every_kind():
    assert OFFERS
    assert OBSERVERS
    assert DECIDERS


@pytest.mark.parametrize("hook", DECIDERS)
def test_a_hook_that_neither_offers_nor_observes_decides(hook: str):
    assert hook.startswith(("veto_", "score_", "resolve_"))


@pytest.mark.parametrize("hook", OFFERS)
def test_an_offer_takes_nothing_and_gives_a_list_of_one_protocol(hook: str):
    assert set(hints(hook)) == {"return"}
    answer = hints(hook)["return"]
    assert get_origin(answer) is list
    (protocol,) = get_args(answer)
    assert protocol is PROTOCOLS[hook.removeprefix("offer_")]


@pytest.mark.parametrize("hook", OBSERVERS)
def test_an_observer_takes_one_frozen_event_and_gives_nothing(hook: str):
    assert set(hints(hook)) == {"event", "return"}
    assert hints(hook)["return"] is type(None)
    event = hints(hook)["event"]
    assert attrs.has(event)
    assert hook == "on_" + "".join(f"_{c.lower()}" if c.isupper() else c for c in event.__name__).lstrip("_")


@pytest.mark.parametrize("hook", DECIDERS)
def test_a_decider_may_pass_with_none(hook: str):
    assert type(None) in get_args(hints(hook)["return"])


@pytest.mark.parametrize("hook", sorted(SPECS))
def test_a_hook_says_what_failure_does_and_since_when_it_is_there(hook: str):
    assert "Failure: " in doc(hook)
    assert "Since: 0." in doc(hook)
    assert "By whom: " in doc(hook)


@pytest.mark.parametrize("hook", OFFERS + DECIDERS)
def test_a_hook_that_answers_says_when_who_wins_and_what_none_means(hook: str):
    for question in ("When: ", "Who wins: ", "None: ", "Maturity: "):
        assert question in doc(hook)


@pytest.mark.parametrize("hook", OBSERVERS)
def test_an_observer_says_when_it_is_told(hook: str):
    assert doc(hook).startswith("Hear ")


def test_the_host_asks_every_offer_there_is():
    assert {f"offer_{kind}" for kind in PROTOCOLS} == set(OFFERS)


def test_the_host_tells_every_event_there_is():
    assert sorted(_OBSERVERS.values()) == OBSERVERS


@pytest.mark.parametrize("kind", sorted(PROTOCOLS))
def test_every_member_of_a_protocol_states_its_promise(kind: str):
    members: dict[str, Callable[..., object] | property] = {
        name: value for name, value in vars(PROTOCOLS[kind]).items() if not name.startswith("_")
    }
    assert members
    assert all(inspect.getdoc(member) for member in members.values())
