"""How Envoy hears whether a replica is ready: the last word counts, and is told until it is heard."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelyard_runtime.server.announcing import Announcer, tell

WAIT_S = 10.0
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Admin:
    """Stands in for Envoy's admin pipe: notes what it is asked, and answers once it may."""

    def __init__(self, path: Path, answer: bytes = OK) -> None:
        self.asked: list[str] = []
        self.may = threading.Event()
        self.answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                line = connection.makefile("rb").readline().decode()
                if not line:
                    return
                self.may.wait(WAIT_S)
                self.asked.append(line.split()[1])
                with contextlib.suppress(OSError):  # whoever asked may have stopped waiting
                    connection.sendall(self.answer)

    def close(self, path: Path) -> None:
        self.may.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
        self._thread.join()
        self._listener.close()


@pytest.fixture
def path() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    yield folder / "admin.sock"
    shutil.rmtree(folder)


@pytest.fixture
def admin(path: Path) -> Iterator[Admin]:
    standing = Admin(path)
    yield standing
    standing.close(path)


@pytest.fixture
def announcer(path: Path) -> Iterator[Announcer]:
    made = Announcer(path)
    yield made
    made.close()


def heard(announcer: Announcer, *, within_s: float = WAIT_S) -> bool:
    return asyncio.run(announcer.heard(within_s=within_s))


def test_readiness_is_a_runtime_key_of_envoys(admin: Admin, path: Path):
    admin.may.set()
    assert tell(path, ready=True)
    assert tell(path, ready=False)
    assert admin.asked == ["/runtime_modify?modelyard.ready=100", "/runtime_modify?modelyard.ready=0"]


def test_an_answer_that_is_no_success_is_told_apart(path: Path):
    refusing = Admin(path, b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    refusing.may.set()
    try:
        assert not tell(path, ready=True)
    finally:
        refusing.close(path)


def test_who_waits_is_told_once_envoy_has_heard(admin: Admin, announcer: Announcer):
    announcer.say(True)
    assert not heard(announcer, within_s=0.05)
    admin.may.set()
    assert heard(announcer)
    assert admin.asked == ["/runtime_modify?modelyard.ready=100"]


def test_nothing_is_told_before_it_was_ever_ready(path: Path, announcer: Announcer):
    announcer.say(False)
    assert heard(announcer, within_s=0.0)
    assert not path.exists()


def test_what_was_overtaken_is_not_told_and_the_last_word_is_heard_last(admin: Admin, announcer: Announcer):
    for ready in [True, False] * 20 + [True]:
        announcer.say(ready)
    admin.may.set()
    assert heard(announcer)
    assert admin.asked[-1] == "/runtime_modify?modelyard.ready=100"
    assert len(admin.asked) <= 2


def test_it_is_told_again_until_envoy_listens(path: Path, announcer: Announcer):
    announcer.say(True)
    assert not heard(announcer, within_s=0.2)
    late = Admin(path)
    late.may.set()
    try:
        assert heard(announcer)
    finally:
        late.close(path)


def test_one_that_is_closed_says_no_more_though_nobody_listens(path: Path):
    before = threading.active_count()
    announcer = Announcer(path)
    announcer.say(True)
    announcer.close()
    deadline = time.monotonic() + WAIT_S
    while threading.active_count() > before:
        assert time.monotonic() < deadline, "its thread goes on"
        time.sleep(0.01)
