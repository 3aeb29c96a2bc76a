"""Keys of signers: which files are taken, and what is said of the others."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from modelyard.api import UserError
from modelyard.images.attesting import read_signing_key, read_trusted_keys
from modelyard.images.attesting.keys import MOST_KEY_BYTES, PASSWORD_VARIABLE

from engine.tests.images.attesting.making_keys import (
    PASSWORD,
    Private,
    new_private,
    pair,
    write_private,
    write_public,
)

OTHERS = [
    ec.generate_private_key(ec.SECP384R1()),
    ed25519.Ed25519PrivateKey.generate(),
    rsa.generate_private_key(65537, 2048),
]


@pytest.mark.parametrize("old_style", [False, True])
@pytest.mark.parametrize("password", ["", PASSWORD])
def test_a_key_is_read_as_openssl_writes_it(tmp_path: Path, old_style: bool, password: str):  # noqa: FBT001
    private = new_private()
    path = write_private(tmp_path / "signing.key", private, password=password, old_style=old_style)
    key = read_signing_key(path, {PASSWORD_VARIABLE: password} if password else {})
    (public,) = read_trusted_keys([write_public(tmp_path / "signing.pub", private)])
    assert key.public.fingerprint == public.fingerprint
    assert public.accepts(key.sign(b"content"), b"content")
    assert not public.accepts(key.sign(b"content"), b"another")


def test_a_password_that_nothing_needs_does_no_harm(tmp_path: Path):
    path = write_private(tmp_path / "signing.key", new_private())
    assert read_signing_key(path, {PASSWORD_VARIABLE: PASSWORD})


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "no password"),
        ({PASSWORD_VARIABLE: "wrong"}, "does not open"),
        ({PASSWORD_VARIABLE: ""}, "no password"),
    ],
)
def test_an_encrypted_key_without_its_password_is_refused(tmp_path: Path, environ: dict[str, str], says: str):
    path = write_private(tmp_path / "signing.key", new_private(), password=PASSWORD)
    with pytest.raises(UserError, match=says) as caught:
        read_signing_key(path, environ)
    assert PASSWORD_VARIABLE in caught.value.remedy
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_private_key_that_everybody_may_read_is_refused(tmp_path: Path, mode: int):
    path = write_private(tmp_path / "signing.key", new_private())
    path.chmod(mode)
    with pytest.raises(UserError, match="everybody") as caught:
        read_signing_key(path, {})
    assert "chmod 600" in caught.value.remedy


@pytest.mark.parametrize("kind", ["SIGSTORE", "COSIGN"])
def test_cosigns_own_format_is_refused_with_the_way_round_it(tmp_path: Path, kind: str):
    path = tmp_path / "cosign.key"
    path.write_text(
        f"-----BEGIN ENCRYPTED {kind} PRIVATE KEY-----\ne30=\n-----END ENCRYPTED {kind} PRIVATE KEY-----"
    )
    path.chmod(0o600)
    with pytest.raises(UserError, match="cosign's own") as caught:
        read_signing_key(path, {})
    assert "import-key-pair" in caught.value.remedy


@pytest.mark.parametrize("private", OTHERS, ids=lambda key: type(key).__name__)
def test_keys_of_another_kind_are_refused(tmp_path: Path, private: Private):
    with pytest.raises(UserError, match="ES256"):
        read_signing_key(write_private(tmp_path / "signing.key", private), {})
    with pytest.raises(UserError, match="ES256"):
        read_trusted_keys([write_public(tmp_path / "signing.pub", private)])


NO_KEYS = [
    b"",
    b"hello",
    b"-----BEGIN PRIVATE KEY-----\ne30=\n-----END PRIVATE KEY-----",
    bytes(MOST_KEY_BYTES + 1),
]


@pytest.mark.parametrize("content", NO_KEYS, ids=["empty", "text", "damaged", "large"])
def test_what_is_no_key_is_refused_with_the_way_to_make_one(tmp_path: Path, content: bytes):
    path = tmp_path / "signing.key"
    path.write_bytes(content)
    path.chmod(0o600)
    for read in (lambda: read_signing_key(path, {}), lambda: read_trusted_keys([path])):
        with pytest.raises(UserError, match=r"no (private|public) key") as caught:
            read()
        assert "openssl genpkey" in caught.value.remedy


def test_a_private_key_is_no_public_one(tmp_path: Path):
    with pytest.raises(UserError, match="no public key"):
        read_trusted_keys([write_private(tmp_path / "signing.pub", new_private())])


def test_what_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="cannot be read: No such file") as caught:
        read_signing_key(tmp_path / "none.key", {})
    assert str(tmp_path / "none.key") in str(caught.value)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="no file"):
        read_signing_key(tmp_path / "pipe", {})


def test_a_folder_gives_every_public_key_in_it_once(tmp_path: Path):
    keys = {write_public(tmp_path / name, new_private()).name for name in ("b.pub", "a.pem")}
    (tmp_path / "c.pub").write_bytes((tmp_path / "b.pub").read_bytes())
    (tmp_path / "README").write_text("not a key")
    assert {key.name for key in read_trusted_keys([tmp_path, tmp_path / "b.pub"])} == keys


def test_a_folder_without_keys_trusts_nobody_and_says_so(tmp_path: Path):
    with pytest.raises(UserError, match="no key is trusted"):
        read_trusted_keys([tmp_path])


def test_a_private_key_is_not_shown(tmp_path: Path):
    key, trusted = pair(tmp_path, "ours")
    assert "sign" not in repr(key)
    assert trusted.content.hex() not in repr(key)
    assert str(trusted).startswith("ours.pub (sha256:")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, the tool other people use")
def test_openssl_accepts_what_we_sign_and_we_what_it_signs(tmp_path: Path):
    def openssl(*arguments: str) -> None:
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30)

    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "signing.key")
    openssl("pkey", "-in", "signing.key", "-pubout", "-out", "signing.pub")
    (tmp_path / "signing.key").chmod(0o600)
    (tmp_path / "content").write_bytes(b"content")
    key = read_signing_key(tmp_path / "signing.key", {})
    (tmp_path / "ours").write_bytes(key.sign(b"content"))
    openssl("dgst", "-sha256", "-verify", "signing.pub", "-signature", "ours", "content")
    openssl("dgst", "-sha256", "-sign", "signing.key", "-out", "theirs", "content")
    (trusted,) = read_trusted_keys([tmp_path / "signing.pub"])
    assert trusted.accepts((tmp_path / "theirs").read_bytes(), b"content")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def denied(_self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        read_trusted_keys([tmp_path])
