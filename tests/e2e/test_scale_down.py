"""A minute of calm takes replicas away, by draining them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Prober, RunningEngine, doubler, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]


def test_after_a_minute_of_calm_replicas_are_drained_and_no_request_is_lost(
    engine: RunningEngine, tmp_path: Path
):
    engine.deploy(
        doubler(tmp_path / "doubler", more="scaling: {min: 1, max: 3}\nrequest: {queue_wait: 20s}\n")
    )
    key = engine.key("doubler")
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(engine.post, "doubler", {"data": [1], "sleep": 0.3}, key=key) for _ in range(60)]
        until(lambda: len(engine.client.service("doubler").replicas) == 3)
        assert {future.result().status_code for future in asked} == {200}
    calm_began = time.monotonic()
    quiet = Prober(lambda _: engine.post("doubler", {"data": [1], "sleep": 0.1}, key=key), threads=1)
    with quiet.running():
        until(lambda: len(engine.client.service("doubler").replicas) < 3, seconds=90)
        assert time.monotonic() - calm_began > 50
        until(lambda: len(engine.client.service("doubler").replicas) <= 2, seconds=90)
    assert quiet.failures == []
    assert "calm" in engine.cli("scaling", "doubler").out
