"""The parent's own port: one document, in bounds, whoever asks and however."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
import time

import pytest
from modelyard_runtime.contract import ReplicaStatus, read_status
from modelyard_runtime.local_http import read_answer
from modelyard_runtime.replica import status_port
from modelyard_runtime.replica.status_port import MAX_CONNECTIONS, MAX_REQUEST_BYTES, StatusPort, listen

STATUS = ReplicaStatus(
    service="s", revision=1, replica="r", phase="starting", parent_pid=1, parent_start_ticks=7
)
ASK = b"GET /modelyard/replica HTTP/1.1\r\nhost: x\r\n\r\n"


class Port:
    """One that answers, and what it says."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.status = STATUS
        self.looked = 0
        listener = listen(host, 0)
        self.number = int(listener.getsockname()[1])
        StatusPort(listener, self._look).start()

    def _look(self) -> ReplicaStatus:
        self.looked += 1
        return self.status

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection((host, self.number), timeout=20)

    def ask(self, question: bytes = ASK, host: str = "127.0.0.1") -> tuple[int, bytes]:
        with self.connect(host) as connection:
            connection.sendall(question)
            return read_answer(all_of(connection))


def all_of(connection: socket.socket) -> bytes:
    content = b""
    while piece := connection.recv(65536):
        content += piece
    return content


@pytest.fixture
def port() -> Port:
    return Port()


def test_it_answers_with_the_state_of_the_moment(port: Port):
    assert read_status(port.ask()[1]) == STATUS
    port.status = dataclasses.replace(STATUS, phase="ready", running=3, queued=1)
    status, body = port.ask()
    assert status == 200
    assert json.loads(body) == dataclasses.asdict(port.status)


@pytest.mark.parametrize(
    ("question", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /modelyard/replicas HTTP/1.1\r\n\r\n", 404),
        (b"GET /modelyard/drain HTTP/1.1\r\n\r\n", 404),
        (b"POST /modelyard/replica HTTP/1.1\r\n\r\n", 405),
        (b"HEAD /modelyard/replica HTTP/1.1\r\n\r\n", 405),
        (b"hello\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /modelyard/replica HTTP/1.1\r\nx: ".ljust(MAX_REQUEST_BYTES, b"x"), 431),
    ],
)
def test_nothing_else_is_served(port: Port, question: bytes, status: int):
    assert port.ask(question) == (status, b"")
    assert port.looked == 0


def test_a_query_and_a_question_in_pieces_are_no_matter(port: Port):
    with port.connect() as connection:
        for piece in (b"GET /modelyard/rep", b"lica?now HTTP/1.0\r\n", b"\r\n"):
            connection.sendall(piece)
            time.sleep(0.02)
        assert read_answer(all_of(connection))[0] == 200


def test_callers_beyond_the_limit_wait_for_those_who_do_not_speak(
    port: Port, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(status_port, "TIME_LIMIT_S", 0.3)
    silent = [port.connect() for _ in range(MAX_CONNECTIONS)]
    assert port.ask()[0] == 200
    assert [one.recv(1) for one in silent] == [b""] * MAX_CONNECTIONS  # cut, and without a word
    for one in silent:
        one.close()


def test_many_at_once_are_all_answered(port: Port):
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(port.ask()[0])) for _ in range(100)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
    assert answers == [200] * 100


def test_a_caller_who_leaves_at_once_costs_the_next_nothing(port: Port):
    for _ in range(2 * MAX_CONNECTIONS):
        port.connect().close()
    assert port.ask()[0] == 200


def test_two_colons_mean_the_older_protocol_too():
    port = Port("::")
    assert port.ask(host="127.0.0.1")[0] == 200
    assert port.ask(host="::1")[0] == 200


def test_a_port_that_is_taken_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1])
