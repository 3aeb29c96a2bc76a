"""Requests in flight, as routers report them over LRS; summed over all routers that are connected."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from modelyard.router import protos
from modelyard.router.protos import Stream
from modelyard.router.states import LoadReport, in_namespace

REPORT_SECONDS = 0.25
_CLUSTER_PREFIX = "service/"

Load = Mapping[str, Mapping[str, int]]


class LoadListener:
    """The serving side of LRS: asks for reports, keeps the newest of each router."""

    def __init__(self, on_report: Callable[[bytes], None]) -> None:
        self._on_report = on_report
        self._latest: dict[object, Load] = {}

    def total(self) -> dict[str, dict[str, int]]:
        """Sum the newest reports of all connected routers, by service and address."""
        return sum_loads(self._latest.values())

    def in_flight(self) -> int:
        """Count every request in flight."""
        return sum(sum(addresses.values()) for addresses in self.total().values())

    async def serve(self, stream: Stream[bytes, bytes]) -> None:
        """Hear one router to its end."""
        await stream.write(protos.load_request(interval_seconds=REPORT_SECONDS))
        try:
            while (content := await stream.read()) is not None:
                self._latest[stream] = by_service(protos.in_flight(content))
                self._on_report(content)
        finally:
            self._latest.pop(stream, None)


def by_service(load: Load) -> dict[str, Mapping[str, int]]:
    """Name services instead of clusters; clusters that are no service's are left out."""
    named: dict[str, Mapping[str, int]] = {}
    for cluster, addresses in load.items():
        if cluster.startswith(_CLUSTER_PREFIX):
            namespace, _, name = cluster.removeprefix(_CLUSTER_PREFIX).partition("/")
            named[in_namespace(namespace, name)] = addresses
    return named


def sum_loads(loads: Iterable[Load]) -> dict[str, dict[str, int]]:
    """Add up loads address by address."""
    total: dict[str, dict[str, int]] = {}
    for load in loads:
        for service, addresses in load.items():
            counted = total.setdefault(service, {})
            for address, count in addresses.items():
                counted[address] = counted.get(address, 0) + count
    return total


def load_report(total: Load, services: Iterable[str]) -> LoadReport:
    """Date a load now; services nobody reported are there, with nothing in flight."""
    return LoadReport(at_s=time.monotonic(), in_flight={**{name: {} for name in services}, **total})
