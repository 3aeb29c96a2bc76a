"""The promise of `DeviceBackend`."""

from __future__ import annotations

from typing import ClassVar

import pytest

from modelyard.api import Device, DeviceBackend, DeviceGrant, DeviceHealth, DeviceRequest, Maturity, Refusal

MORE_THAN_ANY_MACHINE = 1_000_000


class DeviceBackendConformance:
    """Override `backend`; set `shared` where a device may be granted to many at once, as a CPU is."""

    shared: ClassVar[bool] = False

    @pytest.fixture
    def backend(self) -> DeviceBackend:
        """Give the backend under test, over a machine that it may have to itself."""
        raise NotImplementedError

    def test_the_record_names_itself_and_its_kind(self, backend: DeviceBackend) -> None:
        """It satisfies the Protocol with a name, a kind and a maturity."""
        assert isinstance(backend, DeviceBackend)
        assert backend.name
        assert backend.kind
        assert isinstance(backend.maturity, Maturity)

    def test_discovered_devices_have_ids_of_their_own(self, backend: DeviceBackend) -> None:
        """Ids are unique and every device is of the backend's kind."""
        devices = backend.discover()
        assert isinstance(devices, tuple)
        assert all(type(device) is Device and device.id for device in devices)
        assert len({device.id for device in devices}) == len(devices)
        assert {device.kind for device in devices} <= {backend.kind}

    def test_discovering_twice_finds_the_same_devices(self, backend: DeviceBackend) -> None:
        """Ids survive a second look: the engine's ledger is keyed by them."""
        assert _ids(backend.discover()) == _ids(backend.discover())

    def test_health_judges_every_discovered_device(self, backend: DeviceBackend) -> None:
        """`health` leaves none out."""
        assert _ids(backend.health()) == _ids(backend.discover())

    def test_an_unhealthy_device_has_a_reason_and_a_healthy_one_none(self, backend: DeviceBackend) -> None:
        """A verdict a person can act on."""
        for device in backend.health():
            assert bool(device.reason) or device.health is not DeviceHealth.UNHEALTHY
            assert not device.reason or device.health is not DeviceHealth.HEALTHY

    def test_a_grant_names_healthy_devices_of_the_machine(self, backend: DeviceBackend) -> None:
        """One device is granted where there is a good one, and refused where there is none."""
        good = {one.id for one in backend.health() if one.health is not DeviceHealth.UNHEALTHY}
        answer = backend.request(DeviceRequest(kind=backend.kind), frozenset())
        if not good:
            assert isinstance(answer, Refusal)
            return
        assert isinstance(answer, DeviceGrant)
        assert answer.backend == backend.name
        assert len(answer.device_ids) == 1
        assert set(answer.device_ids) <= good

    def test_a_device_in_use_is_not_granted_again(self, backend: DeviceBackend) -> None:
        """What the ledger holds is left alone, unless devices are shared by nature."""
        taken = frozenset(_ids(backend.discover()))
        answer = backend.request(DeviceRequest(kind=backend.kind), taken)
        if not self.shared:
            assert isinstance(answer, Refusal)
        elif taken:
            assert isinstance(answer, DeviceGrant)

    def test_more_than_the_machine_has_is_refused_with_numbers(self, backend: DeviceBackend) -> None:
        """A refusal says what was asked, what there is, and what to do."""
        greedy = DeviceRequest(
            kind=backend.kind,
            count=MORE_THAN_ANY_MACHINE,
            cpu_millicores=1000 * MORE_THAN_ANY_MACHINE,
            ram_bytes=1 << 60,
        )
        answer = backend.request(greedy, frozenset())
        assert isinstance(answer, Refusal)
        assert answer.code
        assert answer.message
        assert answer.remedy
        assert answer.numbers

    def test_asking_twice_gives_the_same_answer(self, backend: DeviceBackend) -> None:
        """`request` keeps no state: the engine's ledger does."""
        request = DeviceRequest(kind=backend.kind)
        assert backend.request(request, frozenset()) == backend.request(request, frozenset())


def _ids(devices: tuple[Device, ...]) -> list[str]:
    return sorted(device.id for device in devices)
