"""Reaching a daemon: what is wrong with it is said with its place and a remedy."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from modelyard.api import SystemError_, Unavailable, UserError
from modelyard.containers import Absent, Daemon, NameTaken, daemon_address, find_image, list_labelled, remove
from modelyard.containers.connecting import DEFAULT_ADDRESS
from modelyard.containers.failures import refused, unreachable

from .fake_daemon import answers, fake_daemon


def facts(address: str) -> Any:
    return asyncio.run(Daemon(address).facts())


def test_the_address_is_dockers_own():
    assert daemon_address({}) == DEFAULT_ADDRESS
    assert daemon_address({"DOCKER_HOST": "unix:///x.sock"}) == "unix:///x.sock"


def test_a_daemon_says_what_it_is(short: Path):
    with fake_daemon(short, answers({"Version": "29.1", "ApiVersion": "1.52"})) as address:
        found = facts(address)
    assert (found.version, found.api_version, found.cores) == ("29.1", (1, 52), 4)
    assert (found.has_memory_limits, found.rootless, found.containerd_images) == (True, False, False)


def test_containerds_image_store_and_a_rootless_daemon_are_recognised(short: Path):
    told = {
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        "SecurityOptions": ["name=rootless"],
    }
    with fake_daemon(short, answers(info=told)) as address:
        found = facts(address)
    assert (found.containerd_images, found.rootless) == (True, True)


def test_a_daemon_that_is_not_there_is_unavailable_and_its_socket_is_named(short: Path):
    with pytest.raises(Unavailable) as caught:
        facts(f"unix://{short}/no.sock")
    assert caught.value.place == f"unix://{short}/no.sock"
    assert "install Docker" in caught.value.remedy


def test_a_stale_socket_says_to_start_the_daemon(short: Path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(short / "stale.sock"))
    with pytest.raises(Unavailable, match="does not answer") as caught:
        facts(f"unix://{short}/stale.sock")
    assert "start it" in caught.value.remedy


def test_a_socket_that_is_not_ours_is_the_users_to_mend():
    error = unreachable("unix:///x", PermissionError("denied"))
    assert isinstance(error, UserError)
    assert "usermod -aG docker" in error.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_a_socket_without_permission_is_refused_before_docker_py_is_asked(short: Path):
    with fake_daemon(short, answers()) as address:
        (short / "docker.sock").chmod(0)
        with pytest.raises(UserError, match="may not use"):
            facts(address)


def test_a_daemon_that_is_too_old_is_told_by_both_versions(short: Path):
    with (
        fake_daemon(short, answers({"ApiVersion": "1.39"})) as address,
        pytest.raises(UserError, match=r"1\.39 is too old: 1\.41"),
    ):
        facts(address)


def test_a_daemon_that_hangs_is_given_up_within_the_time_limit(short: Path):
    listener = socket.socket(socket.AF_UNIX)
    with listener:
        listener.bind(str(short / "mute.sock"))
        listener.listen()
        started = time.monotonic()
        with pytest.raises(Unavailable):
            Daemon(f"unix://{short}/mute.sock").facts_here(seconds=1)
        assert time.monotonic() - started < 8


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"Version": 1}', b""])
def test_a_daemon_that_answers_nonsense_is_unavailable(short: Path, body: bytes):
    with (
        fake_daemon(short, lambda _method, _path: (200, body)) as address,
        pytest.raises(Unavailable),
    ):
        facts(address)


def test_a_full_disk_is_said_with_what_is_free(tmp_path: Path):
    words = "write /x/layer.tar: no space left on device"
    error = refused("unix:///x", 500, words, root=str(tmp_path))
    assert isinstance(error, SystemError_)
    assert "Docker's disk is full" in error.message
    assert f"MiB are free in {tmp_path}" in error.message
    assert "docker system prune" in error.remedy


def test_a_full_disk_that_cannot_be_looked_at_is_said_without_numbers():
    assert "are free" not in refused("unix:///x", 500, "Disk quota exceeded", root="/nowhere/x").message


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (404, "No such container: x", Absent),
        (409, 'Conflict. The name "/x" is already in use by container "1"', NameTaken),
        (409, "conflict: unable to remove", SystemError_),
        (400, "invalid mount config", UserError),
        (500, "", SystemError_),
    ],
)
def test_an_answer_becomes_what_it_means(status: int, words: str, kind: type[Exception]):
    assert type(refused("unix:///x", status, words)) is kind


def test_what_is_absent_is_none_or_removed_already(short: Path):
    with fake_daemon(short, answers()) as address:
        daemon = Daemon(address)
        assert asyncio.run(find_image(daemon, "modelyard/x:1")) is None
        asyncio.run(remove(daemon, "no-such-container"))


def test_a_list_is_read_in_one_call(short: Path):
    asked: list[str] = []
    entry = {
        "Id": "1",
        "Names": ["/modelyard-x"],
        "State": "running",
        "ImageID": "sha256:2",
        "Labels": {"a": "b"},
        "Created": 5,
        "NetworkSettings": {"Networks": {"n": {"IPAddress": "10.0.0.2"}}},
    }

    def answer(method: str, path: str) -> tuple[int, Any]:
        asked.append(path)
        return (
            (200, [entry, {"Id": "2", "State": "levitating"}]) if "json" in path else answers()(method, path)
        )

    with fake_daemon(short, answer) as address:
        first, second = asyncio.run(list_labelled(Daemon(address), {"a": "b"}))
    assert (first.name, first.address, first.state.value, first.image) == (
        "modelyard-x",
        "10.0.0.2",
        "running",
        "sha256:2",
    )
    assert (second.name, second.address, second.state.value) == ("", "", "unknown")
    assert asked.count("/containers/json") == 1
