"""Each cloud's token exchange asks and reads what that cloud's documentation records."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from urllib.parse import parse_qs

import attrs
import pytest
from modelyard.api import Secret, Unavailable, UserError
from modelyard_registry.distribution.logins.clouds import EXCHANGES, Asking, fill, fit
from modelyard_registry.distribution.logins.credentials import Credentials
from modelyard_registry.distribution.logins.signing import AccessKey, Signing, sign
from modelyard_registry.distribution.messages import Request

from plugins.registry.tests.distribution.conftest import Connect
from plugins.registry.tests.distribution.fake import Act, FakeRegistry, Handler, status

NOW = dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def asking(**more: object) -> Asking:
    secrets = {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AZURE_ACCESS_TOKEN": "identity",
        "AZURE_TENANT_ID": "tenant",
    }
    found = Asking(
        host="123.ecr.region-1.cloud.example",
        url="https://api.region-1.cloud.example/",
        names={"account": "123", "region": "region-1"},
        identity={name: Secret(value) for name, value in secrets.items()},
        now=NOW,
    )
    return attrs.evolve(found, **more)


def body_of(request: Request) -> bytes:
    async def read() -> bytes:
        assert request.body
        return b"".join([piece async for piece in request.body.open()])

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_a_signature_is_the_one_of_the_published_test_suite(method: str, signature: str):
    access = AccessKey("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
    at = dt.datetime(2015, 8, 30, 12, 36, 0, tzinfo=dt.UTC)
    signing = Signing("us-east-1", "service", at)
    headers = sign(method, "https://example.amazonaws.com/", {}, b"", access=access, signing=signing)
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


def test_ecr_is_asked_with_a_signature_and_without_the_secret():
    request = EXCHANGES["ecr"].ask(asking())
    assert (request.method, request.url) == ("POST", "https://api.region-1.cloud.example/")
    assert json.loads(body_of(request)) == {"registryIds": ["123"]}
    assert request.headers["x-amz-target"].endswith(".GetAuthorizationToken")
    assert "20300102/region-1/ecr/aws4_request" in request.headers["authorization"]
    assert "canary" not in str(dict(request.headers))


def test_a_session_of_ecr_is_signed_along():
    identity = {**asking().identity, "AWS_SESSION_TOKEN": Secret("session")}
    headers = EXCHANGES["ecr"].ask(asking(identity=identity)).headers
    assert headers["x-amz-security-token"] == "session"
    assert "x-amz-security-token" in headers["authorization"]


def test_ecr_answers_with_user_password_and_an_end():
    token = base64.b64encode(b"AWS:pass:word").decode()
    answer = {"authorizationData": [{"authorizationToken": token, "expiresAt": NOW.timestamp() + 43_200}]}
    found = EXCHANGES["ecr"].read(json.dumps(answer).encode(), NOW)
    assert found == Credentials("AWS", Secret("pass:word"), life_seconds=43_200)


def test_acr_exchanges_an_access_token_for_an_identity_token():
    request = EXCHANGES["acr"].ask(asking(url="https://one.cloud.example/oauth2/exchange"))
    assert parse_qs(body_of(request).decode()) == {
        "grant_type": ["access_token"],
        "service": ["123.ecr.region-1.cloud.example"],
        "access_token": ["identity"],
        "tenant": ["tenant"],
    }
    found = EXCHANGES["acr"].read(b'{"refresh_token": "t"}', NOW)
    assert (found.secret.reveal(), found.is_identity_token) == ("t", True)


def test_gar_takes_the_machines_own_token_as_password():
    request = EXCHANGES["gar"].ask(asking(url="http://metadata.example/token"))
    assert (request.method, dict(request.headers)) == ("GET", {"Metadata-Flavor": "Google"})
    found = EXCHANGES["gar"].read(b'{"access_token": "t", "expires_in": 3599, "token_type": "Bearer"}', NOW)
    assert found == Credentials("oauth2accesstoken", Secret("t"), life_seconds=3599)


@pytest.mark.parametrize("cloud", ["ecr", "acr"])
def test_an_identity_that_is_missing_is_named(cloud: str):
    with pytest.raises(UserError, match=r"AWS_ACCESS_KEY_ID|AZURE_ACCESS_TOKEN"):
        EXCHANGES[cloud].ask(asking(identity={}))


def test_a_pattern_that_lacks_the_region_is_told():
    with pytest.raises(UserError, match=r"\{region\}"):
        EXCHANGES["ecr"].ask(asking(names={"account": "123"}))


@pytest.mark.parametrize(
    ("pattern", "host", "found"),
    [
        ("{account}.ecr.{region}.example", "1.ecr.r-1.example", {"account": "1", "region": "r-1"}),
        ("{account}.ecr.{region}.example", "1.ecr.r.evil.example", None),
        ("{name}.example", "a.example.evil", None),
        ("registry.example", "registryXexample", None),
        ("registry.example", "registry.example", {}),
    ],
)
def test_a_part_of_a_host_is_one_label(pattern: str, host: str, found: dict[str, str] | None):
    assert fit(pattern, host) == found


def test_an_address_takes_parts_and_nothing_else():
    assert (
        fill("https://{region}.example/{0}{region.x}", {"region": "r"}) == "https://r.example/{0}{region.x}"
    )
    with pytest.raises(KeyError):
        fill("https://{other}.example/", {"region": "r"})


def test_a_registry_of_a_cloud_is_shown_the_exchanged_password(
    fake: FakeRegistry, elsewhere: FakeRegistry, connect: Connect
):
    shown = f"Basic {base64.b64encode(b'oauth2accesstoken:t').decode()}"

    def wants_password(handler: Handler) -> bool:
        return handler.headers["Authorization"] != shown and handler.answer(
            401, www_authenticate='Basic realm="x"'
        )

    elsewhere.fail("GET", "/token", status(200, b'{"access_token": "t", "expires_in": 3599}'), times=100)
    fake.fail("HEAD", "", wants_password, times=100)

    async def case() -> None:
        registry = connect(auth="gar", exchange_url=f"{elsewhere.url}/token")
        for _ in range(3):
            await registry.has_blob("models/digits", f"sha256:{'0' * 64}")

    asyncio.run(case())
    assert [one.headers["Metadata-Flavor"] for one in elsewhere.asked] == ["Google"]


@pytest.mark.parametrize("answer", [status(403, b"canary"), status(200, b"canary"), status(200, b"[]")])
def test_an_exchange_that_fails_is_named_and_not_quoted(
    fake: FakeRegistry, elsewhere: FakeRegistry, connect: Connect, answer: Act
):
    elsewhere.fail("GET", "/token", answer, times=100)
    fake.fail("HEAD", "", status(401, www_authenticate='Basic realm="x"'), times=100)
    registry = connect(auth="gar", exchange_url=f"{elsewhere.url}/token")
    with pytest.raises(Unavailable) as caught:
        asyncio.run(registry.has_blob("models/digits", f"sha256:{'0' * 64}"))
    assert caught.value.place == f"{elsewhere.url}/token"
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"
