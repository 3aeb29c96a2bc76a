"""A conformance suite that cannot fail proves nothing: each broken promise is caught by its case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import attrs
import pytest
from modelyard.api import (
    Artifact,
    AuthPolicy,
    Candidate,
    CodeRef,
    Descriptor,
    Device,
    DeviceBackend,
    DeviceGrant,
    DeviceHealth,
    DeviceRequest,
    Finding,
    KeyPair,
    KeySlot,
    Maturity,
    Refusal,
    ReplicaPlan,
    ScalingDecision,
    ScalingObservation,
    Secret,
    ServiceSpec,
    Severity,
    Workload,
)
from modelyard.hookspecs import hookimpl
from modelyard.testing import (
    AuthenticatorConformance,
    CheckConformance,
    DeviceBackendConformance,
    FakeDeviceBackend,
    FakeEntryPoint,
    FakePlace,
    FakeTarget,
    InMemoryRegistry,
    PluginConformance,
    RegistryConformance,
    ScalerConformance,
    TargetConformance,
    plugin_from,
)
from modelyard.testing.conformance.scalers import OBSERVATIONS

CAUGHT = (AssertionError, pytest.fail.Exception)
GOOD = Device(id="d1", kind="fake", health=DeviceHealth.HEALTHY)


class GrantsEverything(FakeDeviceBackend):
    def request(self, request: DeviceRequest, in_use: frozenset[str]) -> DeviceGrant | Refusal:
        del in_use
        return DeviceGrant(backend=self.name, device_ids=("d1",) * request.count)


class ForgetsDevices(FakeDeviceBackend):
    def health(self) -> tuple[Device, ...]:
        return ()


DEVICES = DeviceBackendConformance()
BAD_BACKENDS: list[tuple[Callable[[DeviceBackend], None], DeviceBackend]] = [
    (DEVICES.test_the_record_names_itself_and_its_kind, FakeDeviceBackend(name="")),
    (DEVICES.test_discovered_devices_have_ids_of_their_own, FakeDeviceBackend((GOOD, GOOD))),
    (DEVICES.test_discovered_devices_have_ids_of_their_own, FakeDeviceBackend((GOOD,), kind="other")),
    (DEVICES.test_health_judges_every_discovered_device, ForgetsDevices((GOOD,))),
    (
        DEVICES.test_an_unhealthy_device_has_a_reason_and_a_healthy_one_none,
        FakeDeviceBackend((attrs.evolve(GOOD, health=DeviceHealth.UNHEALTHY),)),
    ),
    (DEVICES.test_a_grant_names_healthy_devices_of_the_machine, GrantsEverything()),
    (DEVICES.test_a_device_in_use_is_not_granted_again, GrantsEverything((GOOD,))),
    (DEVICES.test_more_than_the_machine_has_is_refused_with_numbers, GrantsEverything((GOOD,))),
]


@pytest.mark.parametrize(("case", "backend"), BAD_BACKENDS)
def test_a_bad_device_backend_is_caught(case: Callable[[DeviceBackend], None], backend: DeviceBackend):
    with pytest.raises(CAUGHT):
        case(backend)


class Lossy(InMemoryRegistry):
    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        async for chunk in super().read_blob(repository, digest):
            yield chunk
            return


class TakesAnything(InMemoryRegistry):
    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        for layer in artifact.layers:
            self._blobs[repository].setdefault(layer.digest, b"")
        return await super().push(repository, artifact, tag=tag)


class NeverDeletes(InMemoryRegistry):
    async def delete(self, repository: str, reference: str) -> None:
        await self.resolve(repository, reference)


class ForgetsConfigurations(InMemoryRegistry):
    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        return await super().push(repository, attrs.evolve(artifact, config=None), tag=tag)


REGISTRIES = RegistryConformance()


@pytest.mark.parametrize(
    ("case", "registry"),
    [
        (REGISTRIES.test_a_pushed_blob_is_read_back_whole, Lossy()),
        (REGISTRIES.test_a_manifest_whose_blob_is_missing_is_refused, TakesAnything()),
        (REGISTRIES.test_an_image_is_pulled_with_its_configuration, ForgetsConfigurations()),
        (REGISTRIES.test_an_image_whose_configuration_is_missing_is_refused, ForgetsConfigurations()),
        (REGISTRIES.test_a_deleted_tag_is_not_found, NeverDeletes()),
    ],
)
def test_a_bad_registry_is_caught(case: Callable[[InMemoryRegistry], None], registry: InMemoryRegistry):
    with pytest.raises(CAUGHT):
        case(registry)


def test_a_registry_that_stores_a_file_wrongly_is_caught(tmp_path: Path):
    class Empty(InMemoryRegistry):
        async def push_blob(self, repository: str, source: Path | bytes, media_type: str) -> Descriptor:
            content = source if isinstance(source, bytes) else b""
            return await super().push_blob(repository, content, media_type)

    with pytest.raises(CAUGHT):
        REGISTRIES.test_a_file_and_its_bytes_are_the_same_blob(Empty(), tmp_path)


class OpenDoor:
    """An authenticator that keeps no promise at all."""

    name, maturity = "open", Maturity.ALPHA

    def issue(self) -> KeyPair:
        return KeyPair(Secret("same"), Secret("same"))

    def rotate(self, keys: KeyPair, slot: KeySlot, value: Secret | None = None) -> KeyPair:
        del slot, value
        return keys

    def revoke(self, keys: KeyPair, slot: KeySlot) -> KeyPair:
        del slot
        return keys

    def compile(self, keys: KeyPair | None) -> AuthPolicy:
        del keys
        return AuthPolicy(mode="none")


AUTH = AuthenticatorConformance()


@pytest.mark.parametrize(
    "case",
    [
        AUTH.test_every_issued_key_is_new,
        AUTH.test_both_keys_are_compiled_to_their_digests,
        AUTH.test_without_keys_nobody_gets_in,
        lambda subject: AUTH.test_rotating_a_slot_leaves_the_other_alone(subject, "primary"),
        lambda subject: AUTH.test_a_strong_key_of_the_users_own_is_taken(subject, "primary"),
        lambda subject: AUTH.test_a_weak_key_of_the_users_own_is_refused(subject, "short"),
        lambda subject: AUTH.test_a_revoked_key_is_valid_no_more(subject, "primary"),
    ],
)
def test_an_authenticator_that_lets_all_in_is_caught(case: Callable[[OpenDoor], None]):
    with pytest.raises(CAUGHT):
        case(OpenDoor())


class Greedy:
    """A scaler beyond all limits, with a memory and without a word."""

    name, maturity = "greedy", Maturity.ALPHA
    wanted = 100

    def desired(self, observation: ScalingObservation) -> ScalingDecision:
        del observation
        self.wanted += 1
        return ScalingDecision(wanted=self.wanted, reason="", utilization_percent=0)


SCALERS = ScalerConformance()


@pytest.mark.parametrize(
    "case",
    [
        SCALERS.test_a_decision_stays_within_the_limits,
        SCALERS.test_a_decision_gives_its_reason,
        SCALERS.test_the_same_observation_gives_the_same_decision,
        lambda subject, _: SCALERS.test_a_fixed_number_of_replicas_is_kept(subject),
    ],
)
def test_a_scaler_without_bounds_is_caught(case: Callable[[Greedy, ScalingObservation], None]):
    with pytest.raises(CAUGHT):
        case(Greedy(), OBSERVATIONS[0])


@attrs.frozen
class Says:
    """A check that finds what it is told."""

    findings: tuple[Finding, ...]
    name: str = "says"
    maturity: Maturity = Maturity.ALPHA

    def run(self) -> tuple[Finding, ...]:
        return self.findings


CHECKS = CheckConformance()


@pytest.mark.parametrize(
    ("case", "check"),
    [
        (CHECKS.test_a_run_gives_at_least_one_finding_of_its_own, Says(())),
        (
            CHECKS.test_a_run_gives_at_least_one_finding_of_its_own,
            Says((Finding("other", "x", Severity.OK, "fine"),)),
        ),
        (
            CHECKS.test_a_risk_or_a_blocker_says_how_to_mend_it,
            Says((Finding("says", "x", Severity.ERROR, "bad"),)),
        ),
    ],
)
def test_a_bad_check_is_caught(case: Callable[[Says], None], check: Says):
    with pytest.raises(CAUGHT):
        case(check)


PLAN = ReplicaPlan(id="digits-r1-abc123", node="fake", grant=DeviceGrant(backend="cpu"))
WORKLOAD = Workload(
    spec=ServiceSpec(name="digits", code=CodeRef(source="/code", entry="score.py")),
    revision=1,
    environment="/env",
    code_dir="/code",
    model_dir="",
    replicas=(PLAN,),
)


class Doubling(FakeTarget):
    async def apply(self, workload: Workload) -> None:
        twin = attrs.evolve(PLAN, id=f"{PLAN.id}-{len(self.place.replicas)}")
        await super().apply(attrs.evolve(workload, replicas=(*workload.replicas, twin)))


class Undying(FakeTarget):
    async def delete(self, replica: str) -> None:
        del replica


class Idle(FakeTarget):
    async def drain(self, replica: str) -> None:
        del replica


class Twins(FakeTarget):
    async def candidates(self) -> tuple[Candidate, ...]:
        return 2 * await super().candidates()


class Endless(FakeTarget):
    """Follows the log of a replica that is no more."""

    async def logs(self, replica: str, *, lines: int, follow: bool) -> AsyncIterator[str]:
        async for line in super().logs(replica, lines=lines, follow=follow):
            yield line
        await asyncio.sleep(60)


class Conjuring(FakeTarget):
    async def drain(self, replica: str) -> None:
        self.place.start(WORKLOAD, attrs.evolve(PLAN, id=replica))

    async def delete(self, replica: str) -> None:
        del replica


class Racing(FakeTarget):
    """Looks first and makes later: two that come at once both make one."""

    async def apply(self, workload: Workload) -> None:
        before = len(self.place.applied)
        await asyncio.sleep(0)
        late = len(self.place.applied) - before
        plan = attrs.evolve(PLAN, id=f"{PLAN.id}-{late}") if late else PLAN
        await super().apply(attrs.evolve(workload, replicas=(plan,)))


class Hurried(TargetConformance):
    deadline_seconds = 0.1


TARGETS = Hurried()


@pytest.mark.parametrize(
    ("case", "target"),
    [
        (TARGETS.test_applying_twice_makes_one_replica, Doubling()),
        (TARGETS.test_a_ready_replica_has_an_address, FakeTarget(FakePlace(immediately_ready=False))),
        (TARGETS.test_a_drained_idle_replica_has_nothing_in_flight, Idle()),
        (TARGETS.test_deleting_removes_the_replica_and_twice_is_fine, Undying()),
        (TARGETS.test_following_a_log_ends_with_the_replica, Endless()),
        (TARGETS.test_draining_and_deleting_what_is_absent_is_fine, Conjuring()),
        (TARGETS.test_applying_at_once_makes_one_replica, Racing()),
        (lambda target, _: TARGETS.test_it_offers_a_place_to_run(target), Twins()),
    ],
)
def test_a_bad_target_is_caught(case: Callable[[FakeTarget, Workload], None], target: FakeTarget):
    with pytest.raises(CAUGHT):
        case(target, WORKLOAD)


def test_a_target_that_forgets_its_place_is_caught():
    with pytest.raises(CAUGHT):
        TARGETS.test_a_fresh_target_adopts_what_runs(FakeTarget(), WORKLOAD, Forgetful)


class Forgetful(FakeTarget):
    async def apply(self, workload: Workload) -> None:
        del workload


def plugin_with(hook: Callable[..., object]) -> FakeEntryPoint:
    return plugin_from("odd", **{hook.__name__: hook})


def offer_devices() -> list[str]:
    return []


def veto_placement(candidate: ServiceSpec) -> Refusal | None:
    del candidate


def score_placement(candidate):  # noqa: ANN001  that is what is to be caught
    del candidate


@pytest.mark.parametrize("hook", [offer_devices, veto_placement, score_placement])
def test_a_hook_annotated_otherwise_than_specified_is_caught(hook: Callable[..., object]):
    with pytest.raises(CAUGHT):
        PluginConformance().test_its_hooks_are_annotated_as_specified(plugin_with(hook))


def test_a_default_argument_is_caught():
    module = ModuleType("odd")

    @hookimpl
    def score_placement(candidate: Candidate | None = None) -> float | None:
        del candidate

    vars(module)["score_placement"] = score_placement
    point = plugin_from("odd")
    vars(point)["_load"] = lambda: module
    with pytest.raises(CAUGHT):
        PluginConformance().test_its_hooks_take_no_default_arguments(point)


def test_a_followed_log_gives_lines_as_they_come():
    place = FakePlace()
    target = FakeTarget(place)

    async def follow() -> list[str]:
        await target.apply(WORKLOAD)
        seen: list[str] = []
        async for line in target.logs(PLAN.id, lines=1, follow=True):
            seen.append(line)
            if len(seen) == 2:
                break
            place.logs[PLAN.id].append("later")
        return seen

    assert asyncio.run(follow()) == [f"{PLAN.id} started", "later"]
