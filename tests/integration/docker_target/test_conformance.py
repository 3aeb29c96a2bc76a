"""The docker target keeps the promise of `Target`, over a real daemon and the real runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from modelyard.api import ImageRef, Target, Workload
from modelyard.testing.conformance import TargetConformance

from .conftest import Place, workload_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class TestDockerTarget(TargetConformance):
    @pytest.fixture
    def target(self, place: Place) -> Iterator[Target]:
        yield place.target()
        asyncio.run(place.clear())

    @pytest.fixture
    def workload(self, place: Place, echo: ImageRef) -> Workload:
        asyncio.run(place.bring(echo))
        return workload_of(echo)

    @pytest.fixture
    def reopen(self, place: Place) -> Callable[[], Target]:
        return place.target
