"""What a replica's Envoy does about callers that say nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.contract import StartContract
from modelyard_runtime.server.envoy.bootstrap import configuration


def manager(**fields: float) -> Any:
    """Return how the connections of a replica with this contract are treated."""
    places = {"run_dir": "/run/r", "log_dir": "/log", "code_dir": "/code", "entry": "score.py"}
    made = configuration(StartContract(service="s", revision=1, replica="r", **places, **fields))
    outside = made["static_resources"]["listeners"][0]
    return outside["filter_chains"][0]["filters"][0]["typed_config"]


def test_a_stream_may_be_silent_for_an_hour_as_at_the_router():
    assert manager()["stream_idle_timeout"] == "3600.000s"


@given(st.floats(0.001, 1e6), st.floats(0, 1e6))
def test_no_answer_is_cut_before_its_own_time_is_over(timeout_s: float, queue_wait_s: float):
    idle = manager(timeout_s=timeout_s, queue_wait_s=queue_wait_s)["stream_idle_timeout"]
    assert float(idle.rstrip("s")) > timeout_s + queue_wait_s


def test_a_caller_over_http_2_who_vanished_is_found_by_pings():
    assert manager()["http2_protocol_options"]["connection_keepalive"] == {
        "interval": "60s",
        "timeout": "20s",
    }


def test_a_request_that_does_not_arrive_is_not_waited_for_that_long():
    assert manager()["request_timeout"] == "600s"
