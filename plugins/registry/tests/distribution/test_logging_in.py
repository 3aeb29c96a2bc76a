"""Credentials reach the registry and the realms that its user allows, and nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from modelyard.api import Artifact, Unavailable, UserError

from plugins.registry.tests.distribution.conftest import Clock, Connect
from plugins.registry.tests.distribution.fake import Act, FakeRegistry, Handler, dropped, status

REPOSITORY = "models/digits"
PASSWORD = "canary-password"
TOKEN = "canary-token"
BASIC = f"Basic {base64.b64encode(f'somebody:{PASSWORD}'.encode()).decode()}"


def wants_token(realm: str, *, token: str = TOKEN) -> Act:
    """Answer 401 to whoever does not carry the token."""

    def act(handler: Handler) -> bool:
        if handler.headers["Authorization"] == f"Bearer {token}":
            return False
        handler.body()
        scope = f"repository:{REPOSITORY}:pull"
        challenge = f'Bearer realm="{realm}",service="fake service",scope="{scope}"'
        return handler.answer(401, www_authenticate=challenge)

    return act


def wants_password(handler: Handler) -> bool:
    if handler.headers["Authorization"] == BASIC:
        return False
    return handler.answer(401, www_authenticate='Basic realm="fake"')


def gives_token(token: str = TOKEN, **more: object) -> Act:
    return status(200, json.dumps({"token": token, **more}).encode())


@pytest.fixture
def environ(fake: FakeRegistry, tmp_path: Path) -> dict[str, str]:
    return log_in(tmp_path, fake.host, {"auth": BASIC.removeprefix("Basic ")})


def log_in(folder: Path, host: str, entry: dict[str, str]) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))
    return {"DOCKER_CONFIG": str(folder)}


def carried(server: FakeRegistry) -> list[str | None]:
    return [one.headers.get("Authorization") for one in server.asked]


async def look(connect: Connect, environ: dict[str, str], times: int = 1, **keys: object) -> None:
    registry = connect(environ=environ, **keys)
    for _ in range(times):
        await registry.has_blob(REPOSITORY, f"sha256:{'0' * 64}")


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


def test_a_realm_elsewhere_gets_nothing_until_the_user_allows_it(
    fake: FakeRegistry, elsewhere: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    elsewhere.fail("GET", "/token", gives_token(), times=100)
    fake.fail("HEAD", "/v2/", wants_token(f"{elsewhere.url}/token"), times=100)
    with pytest.raises(UserError, match="shown elsewhere") as caught:
        asyncio.run(look(connect, environ))
    assert elsewhere.asked == []
    assert f'realms = ["{elsewhere.host}"]' in str(caught.value)
    asyncio.run(look(connect, environ, realms=[elsewhere.host]))
    assert carried(elsewhere) == [BASIC]


def test_a_token_server_that_redirects_is_not_followed(
    fake: FakeRegistry, elsewhere: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    fake.fail("GET", "/token", status(307, location=f"{elsewhere.url}/token"), times=100)
    fake.fail("HEAD", "/v2/", wants_token(f"{fake.url}/token"), times=100)
    with pytest.raises(UserError):
        asyncio.run(look(connect, environ))
    assert elsewhere.asked == []


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


def test_a_download_from_storage_elsewhere_goes_without_the_token(
    fake: FakeRegistry, elsewhere: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    digest = elsewhere.keep(b"weights")
    fake.fail("GET", "/token", gives_token(), times=100)
    fake.fail("GET", "/blobs/", wants_token(f"{fake.url}/token"))
    signed = f"{elsewhere.url}/storage/blobs/{digest}?signature=canary-signature"
    fake.fail("GET", "/blobs/", status(307, location=signed))

    async def case() -> bytes:
        registry = connect(environ=environ)
        return b"".join([piece async for piece in registry.read_blob(REPOSITORY, digest)])

    assert asyncio.run(case()) == b"weights"
    assert carried(elsewhere) == [None]


def test_an_upload_elsewhere_goes_without_the_password(
    fake: FakeRegistry, elsewhere: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    fake.fail("HEAD", "/v2/", wants_password, times=2)
    elsewhere.uploads["u"] = bytearray()
    fake.fail("POST", "", status(202, location=f"{elsewhere.url}/v2/x/blobs/uploads/u"))
    asyncio.run(connect(environ=environ).push_blob(REPOSITORY, b"weights", "t/t"))
    assert list(elsewhere.blobs.values()) == [b"weights"]
    assert carried(elsewhere) == [None]


def test_storage_that_asks_for_a_login_gets_none(
    fake: FakeRegistry, elsewhere: FakeRegistry, connect: Connect, environ: dict[str, str]
):
    elsewhere.fail("GET", "", status(401, www_authenticate='Basic realm="give it to me"'), times=100)
    fake.fail("GET", "/blobs/", status(307, location=f"{elsewhere.url}/x"), times=100)

    async def case() -> None:
        async for _ in connect(environ=environ).read_blob(REPOSITORY, f"sha256:{'0' * 64}"):
            pass

    with pytest.raises(UserError):
        asyncio.run(case())
    assert carried(elsewhere) == [None]


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "file:///etc/passwd",
        "http://user@127.0.0.1/",
        "http://0/",
        "http://2852039166/",
        "http://a b/",
        "",
    ],
)
def test_a_redirect_to_a_machines_insides_is_not_followed(
    fake: FakeRegistry, connect: Connect, location: str
):
    fake.fail("GET", "/manifests/", status(307, location=location), times=100)
    with pytest.raises(UserError):
        asyncio.run(connect().pull(REPOSITORY, "1"))
    assert len(fake.asked) <= 6


def test_redirects_without_end_are_given_up(fake: FakeRegistry, connect: Connect):
    fake.fail("GET", "", status(307, location="/v2/again"), times=100)
    with pytest.raises(UserError, match="redirects more than 5 times"):
        asyncio.run(connect().pull(REPOSITORY, "1"))
    assert len(fake.asked) == 6


def test_no_error_and_no_log_shows_a_secret(
    fake: FakeRegistry,
    elsewhere: FakeRegistry,
    connect: Connect,
    environ: dict[str, str],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    fake.fail("GET", "/token", gives_token(), times=100)
    for method in ("HEAD", "GET", "PUT", "POST"):
        fake.fail(method, "/v2/", wants_token(f"{fake.url}/token"), times=2)
    signed = f"{elsewhere.url}/gone?signature=canary-signature"
    fake.fail("GET", "/manifests/", status(307, location=signed), times=100)
    fake.fail("POST", "/uploads/", status(HTTPStatus.FORBIDDEN), times=100)
    registry = connect(environ=environ)

    async def case() -> list[str]:
        works = (
            registry.pull(REPOSITORY, "1"),
            registry.push(REPOSITORY, Artifact("t", ()), tag="1"),
            registry.delete(REPOSITORY, "1"),
        )
        failures = await asyncio.gather(*works, return_exceptions=True)
        return [f"{failure!s} {failure!r}" for failure in failures]

    told = asyncio.run(case())
    assert len(elsewhere.asked) == 1
    assert all("(" in one for one in told)
    assert "canary" not in f"{told} {caplog.text} {registry!r}"
    assert BASIC.removeprefix("Basic ") not in f"{told} {caplog.text}"


def test_what_a_registry_says_is_shown_short_and_printable(fake: FakeRegistry, connect: Connect):
    hostile = json.dumps({"errors": [{"code": "DENIED", "message": "\x1b[2J" + "x" * 10_000}]}).encode()
    fake.fail("GET", "/manifests/", status(403, hostile))
    with pytest.raises(UserError) as caught:
        asyncio.run(connect().pull(REPOSITORY, "1"))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
