"""Private channels: each is shown what it wants to see, and nobody and nothing else ever is."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from modelyard.api import EnvironmentSpec, SystemError_, UserError
from modelyard.environments import CondaSettings, CondaSpec, read_settings, spec_key
from modelyard.environments.conda import laying_out
from modelyard.environments.interpreters import Interpreter
from modelyard.processes import Home

from .conftest import Conda
from .serving import Served, serving

SECRET = "s3cret-0123456789"
"""Looked for everywhere, as it is; its base64 form is looked for by the header that holds it."""


@attrs.frozen
class Way:
    """One way to be let in: what the server wants, what the channel's address says, what rattler has stored."""

    user: str = ""
    token: str = ""
    bearer: str = ""
    store: object = None
    in_address: bool = False

    def address(self, served: Served) -> str:
        if not self.in_address:
            return served.url
        return served.with_token(self.token) if self.token else served.with_user(self.user)

    def settings(self, folder: Path) -> CondaSettings:
        path = folder / "store.json"
        path.write_text(json.dumps(self.store or {}))
        return read_settings({"HOME": str(folder), "RATTLER_AUTH_FILE": str(path)})


HOST = "127.0.0.1"
WAYS = {
    "user in the address": Way(user=f"me:{SECRET}", in_address=True),
    "token in the address": Way(token=SECRET, in_address=True),
    "user in rattler's store": Way(
        user=f"me:{SECRET}", store={HOST: {"BasicHTTP": {"username": "me", "password": SECRET}}}
    ),
    "token in rattler's store": Way(token=SECRET, store={HOST: {"CondaToken": SECRET}}),
    "bearer in rattler's store": Way(bearer=SECRET, store={HOST: {"BearerToken": SECRET}}),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def served(channel: Path, way: Way) -> Iterator[Served]:
    with serving(channel, user=way.user, token=way.token, bearer=way.bearer) as one:
        yield one


def holding(folder: Path, wanted: list[str]) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files for one in wanted if one.encode() in path.read_bytes()]


def forms(served: Served) -> list[str]:
    """The secret as it is, and as the header has it."""
    return [SECRET, *([served.header.partition(" ")[2]] if served.header else [])]


def test_a_private_channel_is_used_and_its_secret_is_nowhere(
    conda: Conda, served: Served, way: Way, tmp_path: Path, home: Home, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(0)
    conda.settings = way.settings(tmp_path)
    spec = conda.spec("purely", channels=(way.address(served),))
    lock = conda.solve(spec)
    tree = conda.lay(spec, lock=lock)
    assert (tree / "bin/purely").is_file()
    assert len(served.archives()) == 3
    written = [*conda.lines, lock.text, lock.spec_key, lock.lock_key, repr(spec), repr(conda.settings)]
    written += [*conda.records.texts, *conda.records.texts.values(), caplog.text]
    for form in forms(served):
        assert not [text for text in written if form in text]
    assert holding(tree, forms(served)) == []
    assert holding(home.cache, forms(served)) == []


def test_the_lock_of_a_private_channel_is_that_of_the_open_one(conda: Conda, channel: Path):
    way = WAYS["token in the address"]
    with serving(channel, token=SECRET) as served:
        private = conda.solve(conda.spec("purely", channels=(way.address(served),)))
        served.token = ""
        assert conda.solve(conda.spec("purely", channels=(served.url,)), refresh=True) == private


def test_wrong_credentials_are_told_without_them(
    conda: Conda, served: Served, way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("modelyard.environments.conda.clients._RETRIES", 0)
    conda.settings = way.settings(tmp_path)
    spec = conda.spec("purely", channels=(way.address(served),))
    lock = conda.solve(spec)
    served.status = 403
    for failing in (lambda: conda.solve(spec, refresh=True), lambda: conda.lay(spec, lock=lock)):
        with pytest.raises(UserError, match="a channel wants other credentials") as caught:
            failing()
        assert caught.value.place == "environment.conda.channels"
        assert caught.value.__cause__ is None
        assert not [form for form in forms(served) if form in str(caught.value) or form in repr(caught.value)]


def test_credentials_do_not_follow_to_another_server(
    conda: Conda, channel: Path, served: Served, way: Way, tmp_path: Path
):
    conda.settings = way.settings(tmp_path)
    spec = conda.spec("purely", channels=(way.address(served),))
    lock = conda.solve(spec)
    with serving(channel) as other:
        served.redirect = other.url.removesuffix("/private/channel").replace("127.0.0.1", "localhost")
        conda.lay(spec, lock=lock)
        assert len(other.asked) == 3
        assert not [path for path, _ in other.asked if SECRET in path]
        assert [header for _, header in other.asked if header] == []


def test_an_open_channel_beside_a_private_one_is_not_shown_its_secret(
    conda: Conda, channel: Path, tmp_path: Path
):
    with serving(channel, user=f"me:{SECRET}") as private, serving(tmp_path / "empty") as other:
        for subdir in ("noarch", "linux-64"):
            folder = tmp_path / "empty" / subdir
            folder.mkdir(parents=True)
            (folder / "repodata.json").write_text('{"packages": {}, "packages.conda": {}}')
        beside = other.url.replace("127.0.0.1", "localhost")
        conda.solve(conda.spec("purely", channels=(private.with_user(f"me:{SECRET}"), beside)))
        assert other.asked
        assert [header for _, header in other.asked if header] == []


@pytest.mark.parametrize("form", [":{}@", "/t/{}/"])
def test_a_tree_that_would_give_a_secret_away_is_not_shown(
    conda: Conda, channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
):
    settled = laying_out.settle

    def leaking(tree: Path, lock: object) -> None:
        settled(tree, lock)  # type: ignore[arg-type]
        (tree / "conda-meta/history").write_text(form.format(SECRET))

    monkeypatch.setattr(laying_out, "settle", leaking)
    way = WAYS["user in the address"]
    with serving(channel, user=way.user) as served:
        spec = conda.spec("libtiny", channels=(way.address(served),))
        with pytest.raises(SystemError_, match="conda-meta/history holds a channel's credentials") as caught:
            conda.lay(spec)
    assert SECRET not in str(caught.value)
    assert not (tmp_path / "work/tree").exists()


def test_a_channel_is_asked_through_the_users_proxy(
    conda: Conda, channel: Path, monkeypatch: pytest.MonkeyPatch
):
    url = "http://channel.invalid/private/channel"
    with serving(channel) as proxy:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/private/channel"))
        tree = conda.lay(conda.spec("libtiny", channels=(url,)))
    assert (tree / "lib/libtiny.so").is_file()
    assert f"{url}/linux-64/libtiny-1.0-0.tar.bz2" in [path for path, _ in proxy.asked]


def test_a_private_authority_is_trusted_where_it_is_named(
    conda: Conda, channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("modelyard.environments.conda.clients._RETRIES", 0)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    authority, own = certificates(tmp_path)
    with serving(channel, tls=own) as served:
        spec = conda.spec("libtiny", channels=(served.url,))
        with pytest.raises(UserError, match=r"cannot be trusted: .*certificate") as caught:
            conda.solve(spec)
        assert "SSL_CERT_FILE" in caught.value.remedy
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert (conda.lay(spec) / "lib/libtiny.so").is_file()


def certificates(folder: Path) -> tuple[Path, Path]:
    """Make an authority, and a key and certificate for `localhost` that it has signed."""
    named = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("authority", "localhost")
    ]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in named]
    day, now = dt.timedelta(days=1), dt.datetime.now(dt.UTC)
    paths = (folder / "authority.pem", folder / "server.pem")
    for number, (name, key, path) in enumerate(zip(named, keys, paths, strict=True)):
        signed = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(named[0])
            .public_key(key.public_key())
            .serial_number(1 + number)
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(keys[0], hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(signed.public_bytes(Encoding.PEM) + (private if number else b""))
    return paths


def test_keys_of_environments_hold_no_credentials(interpreter: Interpreter):
    def key(*channels: str) -> str:
        return spec_key(EnvironmentSpec(conda={"channels": channels, "dependencies": []}), interpreter, "")

    assert key(f"https://me:{SECRET}@h.invalid/c") == key("https://h.invalid/c")
    assert key(f"https://h.invalid/t/{SECRET}/c") == key("https://h.invalid/c")
    assert key("https://h.invalid/d") != key("https://h.invalid/c")


def test_a_lock_made_elsewhere_is_fetched_with_what_is_stored_here(
    conda: Conda, channel: Path, tmp_path: Path
):
    way = WAYS["bearer in rattler's store"]
    with serving(channel, bearer=SECRET) as served:
        conda.settings = way.settings(tmp_path)
        lock = conda.solve(conda.spec("libtiny", channels=(served.url,)))
        elsewhere = CondaSpec.read({"channels": [channel.as_uri()], "dependencies": ["libtiny"]})
        assert (conda.lay(elsewhere, lock=lock) / "lib/libtiny.so").is_file()


def test_settings_are_read_from_the_users_own_files_where_none_are_given(
    conda: Conda, channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from modelyard.environments import lay_out_conda, solve_conda

    from .conftest import PLATFORM, PREFIX

    with serving(channel, user=f"me:{SECRET}") as served:
        above, _, name = served.with_user("me:$CHANNEL_PASSWORD").rpartition("/")
        (tmp_path / "condarc").write_text(f"channel_alias: {above}\n")
        monkeypatch.setenv("CONDARC", str(tmp_path / "condarc"))
        monkeypatch.setenv("CHANNEL_PASSWORD", SECRET)
        spec = conda.spec("libtiny", channels=(name,))
        lock = asyncio.run(solve_conda(spec, PLATFORM, home=conda.home, records=conda.records))
        made = lay_out_conda(lock, tmp_path / "tree", prefix=PREFIX, spec=spec, home=conda.home)
        asyncio.run(made)
    assert (tmp_path / "tree/lib/libtiny.so").is_file()
