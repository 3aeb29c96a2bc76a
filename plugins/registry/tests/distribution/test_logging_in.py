"""A login is asked for once, shown when it is wanted, and renewed before it ends."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from modelyard.api import Unavailable, UserError

from plugins.registry.tests.distribution.asking import (
    BASIC,
    REPOSITORY,
    TOKEN,
    carried,
    gives_token,
    log_in,
    look,
    wants_password,
    wants_token,
)
from plugins.registry.tests.distribution.conftest import Clock, Connect
from plugins.registry.tests.distribution.fake import FakeRegistry, Handler, dropped, status


def test_a_token_is_fetched_once_and_shown_from_then_on(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    fake.fail("GET", "/token", gives_token(expires_in=300), times=100)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token"), times=100)
    asyncio.run(look(connect, environ, times=3))
    assert carried(fake) == [None, BASIC, *[f"Bearer {TOKEN}"] * 3]
    (fetched,) = fake.requests("GET", "/token")
    asked = parse_qs(urlsplit(fetched.path).query)
    assert asked == {"service": ["fake service"], "scope": [f"repository:{REPOSITORY}:pull"]}


def test_many_requests_at_once_fetch_one_token(fake: FakeRegistry, connect: Connect, environ: dict[str, str]):
    fake.fail("GET", "/token", gives_token(), times=100)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token"), times=100)

    async def case() -> None:
        registry = connect(environ=environ)
        await asyncio.gather(*(registry.has_blob(REPOSITORY, f"sha256:{n:064}") for n in range(8)))

    asyncio.run(case())
    assert len(fake.requests("GET", "/token")) == 1


def test_a_token_that_ends_early_is_fetched_anew_once(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    fake.fail("GET", "/token", gives_token("stale", expires_in=3600))
    fake.fail("GET", "/token", gives_token(), times=100)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token", token="stale"), times=2)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token"), times=100)
    asyncio.run(look(connect, environ, times=2))
    assert carried(fake) == [None, BASIC, "Bearer stale", "Bearer stale", BASIC, f"Bearer {TOKEN}"]


def test_a_token_is_fetched_anew_shortly_before_its_end(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str], clock: Clock
):
    fake.fail("GET", "/token", gives_token(expires_in=300), times=100)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token"), times=100)
    fetched = list[int]()

    async def case() -> None:
        registry = connect(environ=environ)
        for passing in (0, 200, 80, 10):
            clock.now += passing
            await registry.has_blob(REPOSITORY, f"sha256:{'0' * 64}")
            fetched.append(len(fake.requests("GET", "/token")))

    asyncio.run(case())
    assert fetched == [1, 1, 1, 2]


def test_a_password_that_was_changed_is_noticed(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str], tmp_path: Path, clock: Clock
):
    fake.fail("HEAD", "/v2/", wants_password, times=1)

    async def case() -> None:
        registry = connect(environ=environ)
        for passing in (0, 100, 250):
            clock.now += passing
            await registry.has_blob(REPOSITORY, f"sha256:{'0' * 64}")
            log_in(tmp_path, fake.host, {"username": "somebody", "password": "new"})

    asyncio.run(case())
    new = f"Basic {base64.b64encode(b'somebody:new').decode()}"
    assert carried(fake) == [None, BASIC, BASIC, new]


def test_each_repository_has_a_token_of_its_own(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    fake.fail("GET", "/token", gives_token(), times=100)
    for method in ("HEAD", "POST"):
        fake.fail(method, "/v2/", wants_token(f"{fake.url}/token"), times=100)

    async def case() -> None:
        registry = connect(environ=environ)
        await registry.has_blob(REPOSITORY, f"sha256:{'0' * 64}")
        await registry.mount("models/copy", f"sha256:{'0' * 64}", REPOSITORY)

    asyncio.run(case())
    scopes = [parse_qs(urlsplit(one.path).query)["scope"] for one in fake.requests("GET", "/token")]
    assert scopes == [
        [f"repository:{REPOSITORY}:pull"],
        ["repository:models/copy:pull,push", f"repository:{REPOSITORY}:pull"],
    ]


def test_an_identity_token_is_posted_and_never_in_an_address(
    fake: FakeRegistry, connect: Connect, tmp_path: Path
):
    environ = log_in(tmp_path, fake.host, {"identitytoken": "canary-identity"})
    forms = list[dict[str, list[str]]]()

    def take(handler: Handler) -> bool:
        forms.append(parse_qs(handler.body().decode()))
        return handler.answer(200, json.dumps({"access_token": TOKEN}).encode())

    fake.fail("POST", "/token", take)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token"), times=100)
    asyncio.run(look(connect, environ))
    (form,) = forms
    assert form["grant_type"] == ["refresh_token"]
    assert form["refresh_token"] == ["canary-identity"]
    assert "canary" not in str([one.path for one in fake.asked])


def test_nobody_in_particular_still_asks_for_a_token(fake: FakeRegistry, connect: Connect, tmp_path: Path):
    fake.fail("GET", "/token", gives_token(), times=100)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token"), times=100)
    asyncio.run(look(connect, {"HOME": str(tmp_path)}))
    assert carried(fake) == [None, None, f"Bearer {TOKEN}"]


def test_auth_none_shows_no_password_that_docker_knows(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    fake.fail("HEAD", "/v2/", wants_password, times=100)
    with pytest.raises(UserError):
        asyncio.run(look(connect, environ, auth="none"))
    assert carried(fake) == [None]


def test_a_password_is_shown_when_asked_for_and_from_then_on(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    fake.fail("HEAD", "/v2/", wants_password, times=100)
    asyncio.run(look(connect, environ, times=2))
    assert carried(fake) == [None, BASIC, BASIC]


def test_a_registry_that_asks_for_nothing_is_shown_nothing(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    asyncio.run(look(connect, environ, times=2))
    assert carried(fake) == [None, None]


def test_docker_may_keep_the_password_under_another_name(
    fake: FakeRegistry, connect: Connect, tmp_path: Path
):
    environ = log_in(tmp_path, "https://login.example/v1/", {"auth": BASIC.removeprefix("Basic ")})
    fake.fail("HEAD", "/v2/", wants_password, times=100)
    asyncio.run(look(connect, environ, docker_login="https://login.example/v1/"))
    assert carried(fake) == [None, BASIC]


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{", b"{}", b'{"token": 1}', b'{"token": "a\\nb"}', b"[" * 100_000]
)
def test_a_token_server_that_answers_nonsense_is_named(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str], answer: bytes
):
    fake.fail("GET", "/token", status(200, answer), times=100)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token"), times=100)
    with pytest.raises(Unavailable, match="token server") as caught:
        asyncio.run(look(connect, environ))
    assert caught.value.place == f"{fake.url}/token"


def test_a_token_server_that_does_not_answer_is_named_and_not_asked_for_ever(
    fake: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    fake.fail("GET", "/token", dropped, times=1000)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token"), times=1000)
    with pytest.raises(Unavailable) as caught:
        asyncio.run(look(connect, environ))
    assert caught.value.place == f"{fake.url}/token"
    assert len(fake.requests("GET", "/token")) == 4
