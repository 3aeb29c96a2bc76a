from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import httpx
import pytest
from modelyard.api import Unavailable, UserError
from modelyard.router import RouterState, XdsServer, protos, resources
from modelyard.router import xds as control_plane
from modelyard.router.resources import Resources

from engine.tests.router.conftest import Rig, eventually, rig, service

pytestmark = pytest.mark.e2e
HOLD = "/api/v1/service/a/v2/hold"


def in_flight(rig: Rig, name: str = "a") -> dict[str, int]:
    return dict(rig.reports[-1].in_flight.get(name, {})) if rig.reports else {}


def test_requests_in_flight_are_reported_for_each_replica(shared: Rig):
    replica = shared.replica()
    shared.publish(service("a", replica.address), service("idle"))
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(httpx.get, shared.url + HOLD, timeout=20, trust_env=False) for _ in range(3)]
        eventually(lambda: in_flight(shared) == {replica.address: 3})
        assert shared.reports[-1].in_flight["idle"] == {}
        replica.release.set()
        assert {future.result().status_code for future in held} == {200}
    eventually(lambda: in_flight(shared) == {})


def test_a_draining_replicas_last_request_is_reported_until_it_ends(shared: Rig):
    replica, other = shared.replica(), shared.replica()
    known = service("a", replica.address)
    shared.publish(known)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(httpx.get, shared.url + HOLD, timeout=20, trust_env=False)
        assert replica.holding.wait(10)
        both = service("a", replica.address, other.address)
        drained = tuple(attrs.evolve(e, draining=e.address == replica.address) for e in both.endpoints)
        shared.publish(attrs.evolve(both, endpoints=drained))
        seen = len(shared.reports)
        eventually(lambda: len(shared.reports) >= seen + 3)
        assert in_flight(shared) == {replica.address: 1}
        replica.release.set()
        assert held.result().status_code == 200
    eventually(lambda: in_flight(shared) == {})


def test_a_refused_configuration_leaves_what_served_before_and_keeps_the_reason(
    shared: Rig, monkeypatch: pytest.MonkeyPatch
):
    replica = shared.replica()
    good = shared.publish(service("a", replica.address))
    spoilt = resources(shared.state(service("a", replica.address), service("b")))
    table = protos.decode(protos.ROUTES, spoilt.types[protos.ROUTES].items["modelyard"])
    table["virtualHosts"].append({"name": "twin", "domains": ["*"]})
    bad = attrs.evolve(
        spoilt.types[protos.ROUTES],
        version="spoilt",
        items={"modelyard": protos.encode(protos.ROUTES, table)},
    )
    with monkeypatch.context() as patched:
        patched.setattr(control_plane, "resources", lambda _state: spoilt.replacing(protos.ROUTES, bad))
        with pytest.raises(Unavailable, match=r"[Oo]nly a single wildcard domain"):
            shared.publish(service("a", replica.address), service("b"))
    assert shared.xds is not None
    assert "wildcard" in shared.xds.status.nack
    assert shared.xds.status.version == good
    with shared.client() as client:
        assert client.get("/api/v1/service/a/score").status_code == 200
    shared.publish(service("a", replica.address), service("c"))
    assert shared.xds.status.nack == ""


def test_the_same_state_again_is_the_same_version_and_acknowledged_already(shared: Rig):
    assert shared.publish(service("a")) == shared.publish(service("a"))


def test_only_a_state_that_changed_is_encoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    encoded: list[RouterState] = []

    def encode(state: RouterState) -> Resources:
        encoded.append(state)
        return resources(state)

    monkeypatch.setattr(control_plane, "resources", encode)
    xds = XdsServer(tmp_path / "xds.sock")
    first, other = (
        RouterState("127.0.0.1", 1, (service("a", address),)) for address in ("unix:/a", "unix:/b")
    )
    versions = [xds.publish(state) for state in (first, attrs.evolve(first), other, first)]
    assert encoded == [first, other, first]
    assert versions[0] == versions[1] == versions[3] != versions[2]


def test_a_state_that_cannot_be_encoded_is_refused_each_time_it_is_published(tmp_path: Path):
    xds = XdsServer(tmp_path / "xds.sock")
    for _ in range(2):
        with pytest.raises(UserError, match="twice"):
            xds.publish(RouterState("127.0.0.1", 1, (service("a"), service("a"))))


def test_without_a_router_nothing_is_acknowledged():
    with rig() as made:
        xds = made.xds
        assert xds is not None

        async def wait() -> None:
            version = xds.publish(RouterState("127.0.0.1", 1))
            await xds.acknowledged(version, timeout_seconds=0.1)

        with pytest.raises(Unavailable, match="no router is connected"):
            made.run(wait())
        assert not xds.status.connected


def test_a_version_that_was_never_published_is_not_waited_for(shared: Rig):
    with pytest.raises(Unavailable, match="never published"):
        shared.run(shared.xds.acknowledged("nonsense", timeout_seconds=5))


def test_a_newer_version_acknowledges_the_older_ones(shared: Rig):
    async def both() -> None:
        first = shared.xds.publish(shared.state(service("x")))
        second = shared.xds.publish(shared.state(service("y")))
        await asyncio.gather(*(shared.xds.acknowledged(v, timeout_seconds=10) for v in (first, second)))

    shared.run(both())
