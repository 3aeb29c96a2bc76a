from __future__ import annotations

import os
import socket
import stat
from typing import Any

import pytest
from modelyard.api import Unavailable
from modelyard.management import peers


def test_the_peer_of_a_unix_socket_is_known() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert peers.peer_uid(here) == os.getuid()


def test_a_tcp_socket_has_no_peer_to_check() -> None:
    with socket.socket() as connection:
        assert peers.peer_uid(connection) is None


@pytest.mark.parametrize(
    ("uid", "own_uid", "allowed"),
    [(1000, 1000, True), (0, 1000, True), (1001, 1000, False), (1000, 0, False)],
)
def test_only_the_own_user_and_root_may_talk(uid: int, own_uid: int, *, allowed: bool) -> None:
    assert peers.may_talk(uid, own_uid=own_uid) is allowed


def test_another_user_is_hung_up_on(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "peer_uid", lambda _: os.getuid() + 4711)
    with pytest.raises(Unavailable):
        served.client.status()
    assert served.engine.asked == []


def test_the_socket_is_private(served: Any) -> None:
    facts = served.home.controller_socket.stat()
    assert stat.S_IMODE(facts.st_mode) == 0o600
    assert stat.S_IMODE(served.home.run.stat().st_mode) == 0o700
