"""Docker's configuration and its helpers are read as Docker reads them, and never quoted."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import Secret, Unavailable, UserError
from modelyard_registry.distribution.logins.credentials import (
    Credentials,
    find_docker_config,
    parse_docker_config,
    read_docker_config,
)
from modelyard_registry.distribution.logins.helpers import ask_helper
from modelyard_registry.distribution.logins.sources import find_credentials
from modelyard_registry.distribution.messages import Reply, Request
from modelyard_registry.distribution.places import origin_of
from modelyard_registry.distribution.servers import Server

HOST = "registry.example:5000"
SERVER = Server("one", origin_of(f"https://{HOST}"))
SOMEBODY = Credentials("somebody", Secret("pass:word"))


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("key", "entry", "found"),
    [
        (HOST, {"auth": encode("somebody:pass:word")}, SOMEBODY),
        (f"https://{HOST}", {"auth": encode("somebody:pass:word\0\0")}, SOMEBODY),
        (f"https://{HOST}/v1/", {"auth": encode("somebody:pass:word")}, SOMEBODY),
        (f"{HOST}/", {"username": "somebody", "password": "pass:word"}, SOMEBODY),
        (HOST, {"identitytoken": "t"}, Credentials("", Secret("t"), is_identity_token=True)),
        (HOST, {}, None),
        ("registry.example", {"auth": encode("somebody:pass:word")}, None),
        ("other.example", {"auth": encode("somebody:pass:word")}, None),
    ],
)
def test_a_password_is_found_however_docker_wrote_its_server(
    key: str, entry: dict[str, str], found: Credentials | None
):
    assert parse_docker_config(json.dumps({"auths": {key: entry}}).encode()).password(HOST) == found


@given(st.binary() | st.text(alphabet='{}[]":auths,ctedHlpr01').map(str.encode))
def test_no_content_raises_anything_but_what_a_reader_expects(content: bytes):
    try:
        parse_docker_config(content)
    except (ValueError, RecursionError):
        return


BROKEN = [
    "canary",
    "[]",
    '{"auths": "canary"}',
    '{"auths": {"a": "canary"}}',
    '{"auths": {"a": {"auth": "canary!"}}}',
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_named_and_not_quoted(tmp_path: Path, content: str):
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(UserError) as caught:
        read_docker_config(file)
    assert caught.value.place == str(file)
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"


def test_the_file_is_where_docker_has_it(tmp_path: Path):
    assert find_docker_config({"HOME": "/home/one"}) == Path("/home/one/.docker/config.json")
    assert find_docker_config({"HOME": "/home/one", "DOCKER_CONFIG": "/x"}) == Path("/x/config.json")
    assert read_docker_config(tmp_path / "absent").password(HOST) is None


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file of the helper `test`: write a shell script into it."""
    file = tmp_path / "docker-credential-test"
    file.touch(mode=0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return file


def answering(username: str = "somebody") -> str:
    answer = json.dumps({"ServerURL": HOST, "Username": username, "Secret": "pass:word"})
    return f'#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = {HOST} ] && echo \'{answer}\'\n'


def configure(folder: Path, **config: object) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder)}


async def unsent(_request: Request) -> Reply:
    raise AssertionError("nothing is asked over the network")


@pytest.mark.parametrize("config", [{"credHelpers": {HOST: "test"}}, {"credsStore": "test"}])
def test_a_helper_is_told_the_server_and_gives_the_password(
    helper: Path, tmp_path: Path, config: dict[str, object]
):
    helper.write_text(answering())
    environ = configure(tmp_path, **config)
    assert asyncio.run(find_credentials(SERVER, environ, unsent)) == SOMEBODY


def test_a_helper_may_give_an_identity_token(helper: Path):
    helper.write_text(answering(username="<token>"))
    found = asyncio.run(ask_helper("test", HOST))
    assert found == Credentials("<token>", Secret("pass:word"), is_identity_token=True)


def test_a_helper_of_another_server_is_not_asked(helper: Path, tmp_path: Path):
    helper.write_text("#!/bin/sh\nexit 7\n")
    environ = configure(tmp_path, credHelpers={"other.example": "test"})
    assert asyncio.run(find_credentials(SERVER, environ, unsent)) is None


def test_where_a_helper_knows_nobody_the_file_may(helper: Path, tmp_path: Path):
    helper.write_text("#!/bin/sh\necho credentials not found in native keychain\nexit 1\n")
    auths = {HOST: {"auth": encode("somebody:pass:word")}}
    environ = configure(tmp_path, credsStore="test", auths=auths)
    assert asyncio.run(find_credentials(SERVER, environ, unsent)) == SOMEBODY


@pytest.mark.parametrize(
    "script",
    [
        "echo canary; exit 1",
        "echo canary >&2; exit 0",
        "echo '[\"canary\"]'",
        'echo \'{"Secret": "canary"}\'',
    ],
)
def test_a_helper_that_fails_is_named_and_not_quoted(helper: Path, script: str):
    helper.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(Unavailable) as caught:
        asyncio.run(ask_helper("test", HOST))
    assert "docker-credential-test get" in caught.value.place
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"


def test_a_helper_that_hangs_is_ended(helper: Path, tmp_path: Path):
    pid = tmp_path / "pid"
    helper.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 60\n")
    with pytest.raises(Unavailable, match="did not answer"):
        asyncio.run(ask_helper("test", HOST, limit_seconds=1.0))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_helper_that_is_not_installed_is_named():
    with pytest.raises(Unavailable, match="No such file"):
        asyncio.run(ask_helper("absent", HOST))


@pytest.mark.parametrize("name", ["", "../evil", "a b", "-x", "x;y", "x" * 100])
def test_a_helpers_name_is_no_path_and_no_command(name: str):
    with pytest.raises(UserError):
        asyncio.run(ask_helper(name, HOST))


def test_credentials_are_never_printed():
    assert "pass:word" not in f"{SOMEBODY!r} {SOMEBODY}"
