from __future__ import annotations

import json
import random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelyard.api import AuthPolicy, UserError
from modelyard.router import Endpoint, RoutedService, RouterState, protos, resources
from modelyard.router.resources import describe
from modelyard.router.routes import cluster_name

from engine.tests.router.conftest import digest, key_policy, service

quick = settings(max_examples=25, deadline=None)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?", fullmatch=True)
KEYS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=32, max_size=40)


@st.composite
def states(draw: st.DrawFn) -> tuple[RouterState, dict[str, list[str]]]:
    """A state, and the clear keys of each service by cluster name."""
    named = draw(st.lists(st.tuples(st.sampled_from(["default", "team"]), NAMES), unique=True, max_size=5))
    keys = draw(st.lists(KEYS, unique=True, min_size=2 * len(named), max_size=2 * len(named)))
    services, owned = [], {}
    for number, (namespace, name) in enumerate(named):
        own = keys[2 * number : 2 * number + 2]
        made = service(
            name,
            *(f"unix:/run/{number}-{replica}" for replica in range(draw(st.integers(0, 3)))),
            namespace=namespace,
            auth=key_policy(*own),
        )
        services.append(made)
        owned[cluster_name(made)] = own
    return RouterState("127.0.0.1", 8484, tuple(services)), owned


def routes_of(state: RouterState) -> list[dict[str, object]]:
    host = describe(state)[protos.ROUTES]["modelyard"]["virtualHosts"][0]
    routes: list[dict[str, object]] = host["routes"]
    return routes


@quick
@given(states())
def test_every_route_has_a_name_of_its_own(given_state: tuple[RouterState, dict[str, list[str]]]):
    names = [route["name"] for route in routes_of(given_state[0])]
    assert len(names) == len(set(names))


@quick
@given(states())
def test_a_key_digest_appears_only_in_routes_of_its_own_service(
    given_state: tuple[RouterState, dict[str, list[str]]],
):
    state, owned = given_state
    for route in routes_of(state):
        text = json.dumps(route)
        for cluster, keys in owned.items():
            mine = str(route["name"]).startswith(cluster.removeprefix("service/") + "/")
            assert all((digest(key) in text) == mine for key in keys)


@quick
@given(states())
def test_a_clear_key_never_enters_the_configuration(given_state: tuple[RouterState, dict[str, list[str]]]):
    state, owned = given_state
    text = json.dumps(describe(state)) + "".join(
        repr(item) for typed in resources(state).types.values() for item in typed.items.values()
    )
    assert not [key for keys in owned.values() for key in keys if key in text]


@quick
@given(states(), st.randoms())
def test_the_order_of_services_and_endpoints_does_not_matter(
    given_state: tuple[RouterState, dict[str, list[str]]], rng: random.Random
):
    state, _ = given_state
    shuffled = [
        attrs.evolve(known, endpoints=tuple(rng.sample(known.endpoints, len(known.endpoints))))
        for known in rng.sample(state.services, len(state.services))
    ]
    assert resources(attrs.evolve(state, services=tuple(shuffled))) == resources(state)


@quick
@given(states())
def test_only_the_last_route_is_for_paths_that_nobody_serves(
    given_state: tuple[RouterState, dict[str, list[str]]],
):
    routes = routes_of(given_state[0])
    assert routes[-1]["name"] == "unknown"
    assert routes[-1]["directResponse"] == {"status": 404}


@quick
@given(states())
def test_no_route_leads_to_the_replicas_own_paths(given_state: tuple[RouterState, dict[str, list[str]]]):
    rewrites = {str(route.get("route", {}).get("prefixRewrite", "")) for route in routes_of(given_state[0])}
    assert rewrites <= {"", "/", "/score", "/swagger.json", "/v2"}


def test_replicas_coming_and_going_leave_the_cluster_untouched():
    few, many = service("a", "unix:/1"), service("a", "unix:/1", "unix:/2", max_concurrent=9)
    before, after = (resources(RouterState("127.0.0.1", 1, (s,))).types for s in (few, many))
    assert before[protos.CLUSTER] == after[protos.CLUSTER]
    assert before[protos.ENDPOINTS].version != after[protos.ENDPOINTS].version


def test_breakers_hold_what_the_replicas_run_and_queue():
    endpoints = (Endpoint("1", "unix:/1"), Endpoint("2", "unix:/2"), Endpoint("3", "unix:/3", draining=True))
    state = RouterState(
        "127.0.0.1", 1, (service("a", endpoints=endpoints, max_concurrent=2, max_pending=20),)
    )
    layer = describe(state)[protos.RUNTIME]["modelyard"]["layer"]
    assert layer["circuit_breakers.service/default/a.default.max_requests"] == 44


def test_callers_over_http_2_are_asked_each_minute_whether_they_are_there():
    made = describe(RouterState("127.0.0.1", 1))[protos.LISTENER]["modelyard"]
    (chain,) = made["filterChains"]
    manager = chain["filters"][0]["typedConfig"]
    assert manager["http2ProtocolOptions"]["connectionKeepalive"] == {
        "interval": "60.000s",
        "timeout": "20.000s",
    }


def test_a_service_of_mode_key_without_digests_keeps_its_filter_on():
    state = RouterState("127.0.0.1", 1, (service("a", auth=AuthPolicy("key")),))
    own = [route for route in routes_of(state) if str(route["name"]).startswith("default/a/")]
    assert own
    assert all("disabled" not in json.dumps(route["typedPerFilterConfig"]) for route in own)


def test_two_services_of_one_name_are_refused():
    with pytest.raises(UserError, match="service a twice"):
        resources(RouterState("127.0.0.1", 1, (service("a"), service("a"))))


@pytest.mark.parametrize("name", ["", "a/b", "a b", "-a", "a?", "ä", "a\n"])
def test_a_name_that_could_change_a_path_is_refused(name: str):
    with pytest.raises(UserError, match="cannot be a name of a route"):
        service(name)


@pytest.mark.parametrize("address", ["", "localhost", "host:0", "host:70000", ":80", "unix:relative"])
def test_an_address_that_leads_nowhere_is_refused(address: str):
    with pytest.raises(UserError, match="no address of a replica"):
        Endpoint("r", address)


def test_a_clear_key_among_the_digests_is_refused():
    with pytest.raises(UserError, match="not a SHA-256 digest"):
        RoutedService("a", AuthPolicy("key", {"my-clear-key": "primary"}), 1.0, 1, 1, 1)
