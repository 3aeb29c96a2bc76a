"""Who waits for a slot: for how long, what a refusal says, and who is never run."""

from __future__ import annotations

import http
import http.client
import math
import socket
import time

import grpc
import pytest
from modelyard_runtime.server.grpc.messages import status_pb2 as status

from runtime.tests.behaviour.asking import (
    INFER,
    NAPPING,
    Crowd,
    channel,
    load,
    message,
    napped,
    refused,
    settled,
)
from runtime.tests.behaviour.replicas import Replica, replica

BOTH = pytest.mark.parametrize("isolation", ["thread", "process"])
RUN_S = 0.1


def told(one: Replica, body: bytes) -> int | None:
    """Return the Retry-After of a request that finds no place; None for one that found one."""
    reply = one.ask("POST", "/score", body)
    return int(reply.header("retry-after")) if reply.status == http.HTTPStatus.SERVICE_UNAVAILABLE else None


@pytest.mark.slow
@BOTH
def test_retry_after_is_the_time_the_queue_takes_to_drain(isolation: str):
    queue = 20
    with replica(NAPPING, isolation=isolation, max_queued=queue, queue_wait_s=30.0) as one:
        one.ready()
        body = napped(RUN_S)
        with load(one, body, clients=queue + 1):
            settled(one, running=1, queued=queue)
            assert told(one, body) is not None
            time.sleep(2.5)  # what the rate is measured over
            before, begun = one.log().count("ran 0"), time.monotonic()
            time.sleep(1.0)
            rate = (one.log().count("ran 0") - before) / (time.monotonic() - begun)
            told_s = [seconds for _ in range(5) if (seconds := told(one, body)) is not None]
        assert told_s, "21 clients should have kept all places taken"
        assert all(abs(seconds - math.ceil(queue / rate)) <= 1 for seconds in told_s), (told_s, rate)


@pytest.mark.slow
@BOTH
def test_idle_time_does_not_count_against_the_drain_rate(isolation: str):
    queue = 5
    with replica(NAPPING, isolation=isolation, max_queued=queue, queue_wait_s=30.0) as one:
        one.ready()
        time.sleep(4)  # hours, on a real machine: a replica that idled is as fast as ever
        body = napped(RUN_S)
        with load(one, body, clients=queue + 1):
            one.until(lambda: one.log().count("ran 0") >= 8)
            seconds = next(filter(None, iter(lambda: told(one, body), object())))
        assert seconds <= math.ceil(queue * RUN_S) + 1


@BOTH
def test_a_place_in_the_queue_is_given_up_after_queue_wait_and_never_run(isolation: str):
    with replica(NAPPING, isolation=isolation, queue_wait_s=0.3) as one:
        one.ready()
        with Crowd(one, 1) as crowd:
            first = crowd.score(napped(1.5))
            settled(one, running=1)
            begun = time.monotonic()
            reply = one.ask("POST", "/score", napped(0.25))
            waited_s = time.monotonic() - begun
            assert (reply.status, first.done()) == (http.HTTPStatus.SERVICE_UNAVAILABLE, False)
            assert int(reply.header("retry-after")) >= 1
            assert waited_s >= 0.29
            assert first.result().status == http.HTTPStatus.OK
        settled(one, running=0)
        assert "ran 0.25" not in one.log()


def retry_delay_s(error: grpc.RpcError) -> int:
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    (info,) = (
        one.value for one in status.Status.FromString(packed).details if one.type_url.endswith("RetryInfo")
    )
    seconds: int = status.RetryInfo.FromString(info).retry_delay.seconds
    return seconds


@BOTH
def test_grpc_is_told_of_overload_too(isolation: str):
    with replica(NAPPING, isolation=isolation, max_queued=0) as one, channel(one) as opened:
        one.ready()
        with Crowd(one, 1) as crowd:
            first = crowd.score(napped(1.0))
            settled(one, running=1)
            with pytest.raises(grpc.RpcError) as caught:
                opened.unary_unary(INFER)(message(0.25), timeout=10)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert retry_delay_s(caught.value) >= 1
            assert first.result().status == http.HTTPStatus.OK
        assert "ran 0.25" not in one.log()


@BOTH
def test_a_client_that_leaves_the_queue_frees_its_place_and_is_never_run(isolation: str):
    with replica(NAPPING, isolation=isolation, max_queued=1, queue_wait_s=30.0) as one:
        one.ready()
        with Crowd(one, 2) as crowd, socket.socket(socket.AF_UNIX) as leaving:
            first = crowd.score(napped(1.5))
            settled(one, running=1)
            leaving.connect(str(one.socket))
            body = napped(0.25)
            leaving.sendall(
                b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            settled(one, running=1, queued=1)
            assert one.ask("POST", "/score", napped(0.5)).status == http.HTTPStatus.SERVICE_UNAVAILABLE
            leaving.close()
            settled(one, running=1)
            next_one = crowd.score(napped(0.125))
            assert [one.result().status for one in (first, next_one)] == [200, 200]
        assert "ran 0.25" not in one.log()
        assert "ran 0.125" in one.log()


@BOTH
def test_a_grpc_call_that_is_cancelled_in_the_queue_frees_its_place_and_is_never_run(isolation: str):
    with (
        replica(NAPPING, isolation=isolation, max_queued=1, queue_wait_s=30.0) as one,
        channel(one) as opened,
    ):
        one.ready()
        with Crowd(one, 2) as crowd:
            first = crowd.score(napped(1.5))
            settled(one, running=1)
            call = opened.unary_unary(INFER).future(message(0.25), timeout=20)
            settled(one, running=1, queued=1)
            call.cancel()
            settled(one, running=1)
            next_one = crowd.score(napped(0.125))
            assert [one.result().status for one in (first, next_one)] == [200, 200]
        assert "ran 0.25" not in one.log()


@BOTH
def test_a_call_whose_deadline_passes_in_the_queue_is_never_run(isolation: str):
    with (
        replica(NAPPING, isolation=isolation, queue_wait_s=30.0) as one,
        channel(one) as opened,
    ):
        one.ready()
        with Crowd(one, 1) as crowd:
            first = crowd.score(napped(1.5))
            settled(one, running=1)
            code = refused(lambda: opened.unary_unary(INFER)(message(0.25), timeout=0.4))
            assert code is grpc.StatusCode.DEADLINE_EXCEEDED
            settled(one, running=1)
            assert first.result().status == http.HTTPStatus.OK
        settled(one, running=0)
        assert "ran 0.25" not in one.log()


@BOTH
def test_a_request_that_cannot_be_answered_in_time_is_never_run(isolation: str):
    with replica(NAPPING, isolation=isolation, timeout_s=0.8, queue_wait_s=30.0) as one:
        one.ready()
        with Crowd(one, 4) as crowd:
            replies = [one.result() for one in crowd.scores([napped(0.5)] * 4)]
        settled(one, running=0)
        statuses = sorted(reply.status for reply in replies)
        assert statuses[0] == http.HTTPStatus.OK
        assert statuses[-1] == http.HTTPStatus.GATEWAY_TIMEOUT
        assert 1 <= one.log().count("ran 0.5") <= 2
