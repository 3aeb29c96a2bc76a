"""Credentials reach the registry and the realms that its user allows, and nobody else."""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus

import pytest
from modelyard.api import Artifact, UserError

from plugins.registry.tests.distribution.asking import (
    BASIC,
    REPOSITORY,
    carried,
    gives_token,
    look,
    wants_password,
    wants_token,
)
from plugins.registry.tests.distribution.conftest import Connect
from plugins.registry.tests.distribution.fake import FakeRegistry, status


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
