"""Real parents and servers: start, score, drain, die, come back."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from modelyard_runtime.contract import Probe

from runtime.tests.behaviour.replicas import alive

SUM = """
import json, os, sys
def init():
    global where
    where = [os.getcwd(), os.environ.get("AZUREML_MODEL_DIR"), os.environ.get("ENGINE_SECRET"),
             os.environ.get("LD_PRELOAD"), os.environ.get("PYTHONPATH"), os.environ["MINE"], sys.executable]
def run(data):
    if data == "where":
        return where
    return [[sum(row)] for row in json.loads(data)["data"]]
"""
NAP = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.05)\n    return data\n"


def test_a_replica_scores_in_a_clean_environment_on_a_private_socket(replica: Any):
    one = replica(SUM, variables={"MINE": "1"}, model_dir="/models/m/1")
    state = one.ready()
    status, body = one.ask("POST", "/score", b"where")
    where = json.loads(body)
    assert status == 200
    assert where[:6] == [str(one.code), "/models/m/1", None, None, None, "1"]
    assert Path(where[6]).parent.resolve() == Path(sys.executable).parent.resolve()
    assert stat.S_IMODE(one.socket.stat().st_mode) == 0o600
    assert state.resident_bytes > 0
    assert state.restarts == 0


class Relay:
    """A TCP port in front of the unix socket: tritonclient knows no unix sockets over HTTP."""

    def __init__(self: Any, path: Path) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._path = path
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self: Any) -> None:
        while True:
            try:
                outer, _ = self._listener.accept()
            except OSError:
                return
            inner = socket.socket(socket.AF_UNIX)
            inner.connect(str(self._path))
            self._open += [outer, inner]
            for pair in ((outer, inner), (inner, outer)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self: Any, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self: Any) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._open):
            one.close()


def test_tritonclient_works_over_http_and_grpc(replica: Any):
    one = replica(SUM, variables={"MINE": "1"})
    one.ready()
    relay = Relay(one.socket)
    rows = np.array([[1, 2], [3, 4]], np.float32)
    for module, address in (
        (tritonclient.http, f"127.0.0.1:{relay.port}"),
        (tritonclient.grpc, f"unix:{one.socket}"),
    ):
        client = module.InferenceServerClient(address)
        sent = module.InferInput("x", list(rows.shape), "FP32")
        sent.set_data_from_numpy(rows)
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits")
        assert client.infer("digits", [sent]).as_numpy("output").tolist() == [[3.0], [7.0]]
        client.close()
    relay.close()


def test_a_body_of_many_megabytes_comes_through_and_one_over_the_limit_does_not(replica: Any):
    one = replica("def init(): pass\ndef run(data): return len(data)\n", max_body_bytes=8_000_000)
    one.ready()
    assert one.ask("POST", "/score", b"x" * 8_000_000) == (200, b"8000000")
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(str(one.socket))
        raw.sendall(b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 8000001\r\n\r\nx")
        assert raw.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_sigterm_under_load_loses_no_request_it_took(replica: Any):
    one = replica(NAP, max_concurrent=2, max_queued=50, queue_wait_s=10)
    one.ready()
    answers: list[object] = []
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            try:
                answers.append(one.ask("POST", "/score", b"x")[0])
            except (FileNotFoundError, ConnectionRefusedError):
                return
            except (OSError, http.client.HTTPException) as error:
                answers.append(error)
                return

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(load)
        deadline = time.monotonic() + 10
        while len(answers) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        one.process.send_signal(signal.SIGTERM)
        one.until(lambda state: state.phase in ("draining", "stopped"))
        over.set()
    assert one.process.wait(10) == 0
    assert set(answers) <= {200, 503}
    assert answers.count(200) >= 20
    assert not one.socket.exists()
    assert one.state().phase == "stopped"


def test_sigusr1_drains_without_stopping(replica: Any):
    one = replica(NAP)
    one.ready()
    one.process.send_signal(signal.SIGUSR1)
    one.until(lambda state: state.phase == "draining")
    assert one.ask("GET", "/")[0] == 503
    assert one.ask("POST", "/score", b"x")[0] == 503
    assert one.process.poll() is None
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(10) == 0


def test_a_killed_server_comes_back_and_its_death_is_recorded(replica: Any):
    one = replica(NAP)
    os.kill(one.ready().server_pid, signal.SIGKILL)
    state = one.until(lambda state: state.phase == "ready" and state.restarts == 1)
    assert state.cause == "the server was killed by SIGKILL"
    assert "SIGKILL" in (one.logs / "deaths.jsonl").read_text()
    assert one.ask("POST", "/score", b"x") == (200, b'"x"')


def test_a_killed_parent_takes_its_server_along(replica: Any):
    one = replica(NAP)
    pid = one.ready().server_pid
    one.process.kill()
    one.process.wait()
    deadline = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_init_that_raises_is_told_with_its_line_and_tried_again(replica: Any):
    one = replica("def init():\n    open('/no/such/weights')\ndef run(data): return 1\n")
    state = one.until(lambda state: state.phase == "failed" and state.restarts >= 1)
    assert state.cause.startswith("init() raised FileNotFoundError")
    assert "score.py, line 2" in state.cause
    assert "line 2" in state.remedy
    assert "Traceback" in one.log


def test_an_init_that_hangs_is_cut(replica: Any):
    one = replica("import time\ndef init(): time.sleep(600)\ndef run(data): return 1\n", startup_timeout_s=1)
    assert one.until(lambda state: state.phase == "failed").cause == "init() did not finish in 1 s"


@pytest.mark.parametrize(("body", "phase"), [(b"[1]", "ready"), (b"[", "failed")])
def test_the_sample_is_scored_before_ready(replica: Any, tmp_path: Any, body: Any, phase: Any):
    sample = tmp_path / "sample.json"
    sample.write_bytes(body)
    source = (
        "import json\ndef init(): pass\n"
        "def run(data):\n    print('scored', data, flush=True)\n    return json.loads(data)\n"
    )
    one = replica(source, sample=str(sample))
    state = one.until(lambda state: state.phase in ("ready", "failed"))
    assert state.phase == phase
    assert one.log.count("scored") == 1
    assert ("500" in state.cause) == (phase == "failed")


GREEDY = """
import time
def init():
    pass
def run(data):
    held = b"x" * (400 << 20)
    time.sleep(5)
    return len(held)
"""


def test_memory_over_its_limit_ends_the_server_with_that_cause(replica: Any):
    one = replica(GREEDY, memory_limit_bytes=256 << 20)
    one.ready()
    with pytest.raises((OSError, http.client.HTTPException)):
        one.ask("POST", "/score", b"x")
    state = one.until(lambda state: state.restarts == 1 and state.phase == "ready")
    assert state.cause == "killed: memory limit 256Mi exceeded"


def test_a_blocked_interpreter_is_found_by_liveness(replica: Any):
    probe = Probe(initial_delay_s=0, period_s=0.1, timeout_s=0.3, failure_threshold=2)
    one = replica(NAP, probe=probe)
    os.kill(one.ready().server_pid, signal.SIGSTOP)
    state = one.until(lambda state: state.restarts == 1 and state.phase == "ready")
    assert "liveness" in state.cause


def test_a_client_that_leaves_the_queue_is_not_scored(replica: Any):
    source = "import time\ndef init(): pass\ndef run(data):\n    print('ran', data, flush=True)\n    time.sleep(0.5)\n"
    one = replica(source, queue_wait_s=10)
    one.ready()
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        for number, client in enumerate((first, second)):
            client.connect(str(one.socket))
            client.sendall(b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n%d" % number)
            wait_for(one, lambda status, n=number: status["running"] + status["queued"] == n + 1)
        second.close()
        wait_for(one, lambda status: status["queued"] == 0 and status["running"] == 1)
        assert first.recv(100).startswith(b"HTTP/1.1 200")
    wait_for(one, lambda status: status["running"] == 0)
    assert "ran 1" not in one.log


def wait_for(one: Any, true: Any) -> None:
    deadline = time.monotonic() + 5
    while not true(status := json.loads(one.ask("GET", "/modelyard/status")[1])):
        assert time.monotonic() < deadline, status
        time.sleep(0.01)
