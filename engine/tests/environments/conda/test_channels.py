"""Channels: what their names stand for, by the user's own settings, and what is secret in them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import EnvironmentUnsolvable, Secret, UserError
from modelyard.environments import CondaSettings, read_settings
from modelyard.environments.conda.channels import Channel, find_channels
from modelyard.environments.conda.clients import check_apart, client_for, headers_for, tokens_of
from modelyard.environments.conda.credentials import Credential, redacted

SETTINGS = CondaSettings(
    alias="https://alias.invalid/conda",
    default_channels=("https://main.invalid/pkgs", "/srv/ours"),
    custom_channels={"special": "https://custom.invalid/", "deep/er": "file:///srv/deep"},
    multichannels={"many": ("one", "https://two.invalid/x")},
)


def urls(*names: str, settings: CondaSettings = SETTINGS) -> list[str]:
    return [one.url for one in find_channels(names, settings, "channels")]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("conda-forge", ["https://alias.invalid/conda/conda-forge"]),
        ("org/label/dev", ["https://alias.invalid/conda/org/label/dev"]),
        ("https://h.invalid:8443/c/", ["https://h.invalid:8443/c"]),
        ("https://me:s3cret@h.invalid/c", ["https://h.invalid/c"]),
        ("https://h.invalid/t/tk-1/c", ["https://h.invalid/c"]),
        ("https://h.invalid/above/t/tk-1/c/d", ["https://h.invalid/above/c/d"]),
        ("https://h.invalid/t/tk-1", ["https://h.invalid"]),
        ("file:///srv/chan", ["file:///srv/chan"]),
        ("/srv/t/mine", ["file:///srv/t/mine"]),
        ("/srv/my chan", ["file:///srv/my%20chan"]),
        ("special", ["https://custom.invalid/special"]),
        ("special/label/x", ["https://custom.invalid/special/label/x"]),
        ("deep/er", ["file:///srv/deep/deep/er"]),
        ("many", ["https://alias.invalid/conda/one", "https://two.invalid/x"]),
        ("defaults", ["https://main.invalid/pkgs", "file:///srv/ours"]),
        ("nodefaults", []),
    ],
)
def test_a_name_stands_for_what_condas_settings_say(name: str, found: list[str]):
    assert urls(name) == found


@pytest.mark.parametrize(
    "name",
    [
        "./here",
        "../up",
        "ftp://h/c",
        "s3://bucket/c",
        "file://server/share",
        "https://",
        "https://h/c?x=1",
        "http://h:port/",
    ],
)
def test_what_is_no_channel_is_refused(name: str):
    with pytest.raises(EnvironmentUnsolvable, match="is no channel") as caught:
        urls("a", name)
    assert caught.value.place == "channels[1]"


def test_channels_come_in_their_order_each_once():
    assert urls("many", "b", "one", "b") == [
        "https://alias.invalid/conda/one",
        "https://two.invalid/x",
        "https://alias.invalid/conda/b",
    ]


def test_a_file_without_channels_gets_those_of_the_settings():
    assert urls() == ["https://main.invalid/pkgs", "file:///srv/ours"]
    assert urls(settings=CondaSettings(alias="https://a.invalid", channels=("mine",))) == [
        "https://a.invalid/mine"
    ]


def test_defaults_that_nobody_named_are_no_channel():
    with pytest.raises(EnvironmentUnsolvable, match="nothing says which channels"):
        urls("defaults", settings=CondaSettings(alias="https://a.invalid"))


def settings_from(tmp_path: Path, condarc: str = "", store: object = None, **environ: str) -> CondaSettings:
    (tmp_path / ".condarc").write_text(condarc)
    if store is not None:
        (tmp_path / ".rattler").mkdir(exist_ok=True)
        (tmp_path / ".rattler/credentials.json").write_text(json.dumps(store))
    return read_settings({"HOME": str(tmp_path), **environ})


CONDARC = """
channel_alias: https://${WHO}:$PASSWORD@alias.invalid/t/tk-${UNSET}/x
channels: [mine]
default_channels: [https://main.invalid]
custom_channels: {special: https://custom.invalid}
custom_multichannels: {many: [a, b]}
"""


def test_a_condarc_is_read_with_its_variables(tmp_path: Path):
    settings = settings_from(tmp_path, CONDARC, WHO="me", PASSWORD="s3cret")
    (channel,) = find_channels((), settings, "")
    assert channel == Channel("https://alias.invalid/x/mine")
    assert channel.credential == Credential("me", Secret("s3cret"), None, Secret("tk-${UNSET}"))
    assert urls("many", "special", "defaults", settings=settings) == [
        "https://alias.invalid/x/a",
        "https://alias.invalid/x/b",
        "https://custom.invalid/special",
        "https://main.invalid",
    ]
    assert "s3cret" not in repr(settings)


def test_variables_name_other_files_and_another_alias(tmp_path: Path):
    other, store = tmp_path / "other.yml", tmp_path / "store.json"
    other.write_text("channels: [theirs]\n")
    store.write_text(json.dumps({"h.invalid": {"BearerToken": "tk"}}))
    settings = settings_from(
        tmp_path,
        CONDARC,
        CONDARC=str(other),
        RATTLER_AUTH_FILE=str(store),
        CONDA_CHANNEL_ALIAS="https://h.invalid",
    )
    (channel,) = find_channels((), settings, "")
    assert (channel.url, channel.credential) == ("https://h.invalid/theirs", Credential(bearer=Secret("tk")))


def test_without_settings_names_lead_where_rattler_says(tmp_path: Path):
    import rattler

    (channel,) = find_channels(("some-name",), read_settings({"HOME": str(tmp_path)}), "")
    assert f"{channel.url}/" == rattler.Channel("some-name").base_url


@pytest.mark.parametrize("name", [".condarc", ".rattler/credentials.json"])
def test_a_damaged_file_of_settings_is_named(tmp_path: Path, name: str):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{s3cret: [")
    with pytest.raises(UserError, match="cannot be read") as caught:
        read_settings({"HOME": str(tmp_path)})
    assert caught.value.place == str(path)
    assert "s3cret" not in str(caught.value)


STORE = {
    "exact.invalid": {"BasicHTTP": {"username": "me", "password": "s3cret"}},
    "*.wide.invalid": {"CondaToken": "tk-s3cret"},
    "b.invalid": {"BearerToken": "s3cret"},
    "s3.invalid": {"S3Credentials": {"access_key_id": "x", "secret_access_key": "y"}},
}


@pytest.mark.parametrize(
    ("url", "credential"),
    [
        ("https://exact.invalid/c", Credential(user="me", password=Secret("s3cret"))),
        ("https://a.b.wide.invalid/c", Credential(path_token=Secret("tk-s3cret"))),
        ("https://wide.invalid/c", Credential(path_token=Secret("tk-s3cret"))),
        ("https://b.invalid/c", Credential(bearer=Secret("s3cret"))),
        ("https://s3.invalid/c", None),
        ("https://a.exact.invalid/c", None),
        ("file:///srv/c", None),
    ],
)
def test_credentials_come_from_rattlers_store(tmp_path: Path, url: str, credential: Credential | None):
    (channel,) = find_channels((url,), settings_from(tmp_path, store=STORE), "")
    assert channel.credential == credential


def test_what_an_address_says_comes_before_the_store(tmp_path: Path):
    settings = settings_from(tmp_path, store=STORE)
    (channel,) = find_channels(("https://you@exact.invalid/c",), settings, "")
    assert channel.credential == Credential(user="you")


def private(url: str, **credential: str) -> Channel:
    held = {
        name: value if name in ("user", "above_token") else Secret(value)
        for name, value in credential.items()
    }
    return Channel(url, Credential(**held))  # type: ignore[arg-type]


def test_a_header_goes_to_its_channel_alone():
    basic = private("https://h.invalid/a", user="me", password="pw")
    headers = headers_for(
        [basic, private("https://h.invalid/a/b", bearer="tk"), Channel("https://open.invalid/a")]
    )
    sent = {"Authorization": f"Basic {base64.b64encode(b'me:pw').decode()}"}
    assert headers("h.invalid", "/a/linux-64/repodata.json") == sent
    assert headers("h.invalid", "/a/b/noarch/x.conda") == {"Authorization": "Bearer tk"}
    for host, path in (("h.invalid", "/ab/x"), ("open.invalid", "/a/x"), ("h.invalid.evil", "/a/x")):
        assert headers(host, path) is None


def test_a_token_stands_in_the_path_where_it_was_written():
    (written,) = find_channels(("https://h.invalid/above/t/tk-1/c",), SETTINGS, "")
    stored = private("https://i.invalid/c", path_token="tk-2")
    assert tokens_of([written, stored, Channel("https://open.invalid")]) == {
        "https://h.invalid/above/c/": ["https://h.invalid/above/t/tk-1/c/"],
        "https://i.invalid/c/": ["https://i.invalid/t/tk-2/c/"],
    }


@pytest.mark.parametrize("other", ["http://h.invalid/a", "https://h.invalid:8443/a/b"])
def test_credentials_for_one_port_are_not_shown_to_another(other: str):
    with pytest.raises(UserError, match="would be shown to"):
        client_for([Channel(other), private("https://h.invalid/a", user="me", password="pw")])


def test_channels_that_can_be_told_apart_are_not_refused():
    check_apart(
        [
            private("https://h.invalid/a", user="me"),
            Channel("https://h.invalid:8443/b"),
            Channel("https://h.invalid/c"),
        ]
    )


secrets = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=6, max_size=30)


@given(secrets, st.text(max_size=30), st.text(max_size=30))
def test_what_is_redacted_holds_no_secret(secret: str, before: str, after: str):
    credential = Credential(user="me", password=Secret(secret))
    for form in credential.secrets():
        assert secret not in redacted(f"{before}{form}{after}", [credential]).replace("***", "")


users = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


@given(users, secrets.filter(lambda text: "%" not in text), users)
def test_an_address_never_keeps_what_is_secret(user: str, secret: str, token: str):
    from urllib.parse import quote

    text = f"https://{user}:{quote(secret, safe='')}@h.invalid/t/{token}-0123/c"
    (channel,) = find_channels((text,), SETTINGS, "")
    assert channel.url == "https://h.invalid/c"
    assert channel.credential == Credential(user, Secret(secret), None, Secret(f"{token}-0123"))
    assert secret not in repr(channel)
