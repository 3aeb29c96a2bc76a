"""Keys that sign images and keys that are trusted: ES256 (ECDSA on P-256, SHA-256), as PEM files.

The one door of the cryptography library, which is imported when the first key is read. Reading blocks.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from modelyard.api import UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

PASSWORD_VARIABLE = "MODELYARD_SIGNING_PASSWORD"  # noqa: S105  the variable's name
"""Has the password of an encrypted private key."""
MOST_KEY_BYTES = 64 * 1024
_PUBLIC_ENDINGS = (".pub", ".pem")
_COSIGN = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")
_MAKE_ONE = "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.key`"


@attrs.frozen
class TrustedKey:
    """A public key: `name` is its file's, `content` the DER of its SubjectPublicKeyInfo."""

    name: str
    content: bytes = attrs.field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Name the key by its content: `sha256:<hex>`."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint[:19]})"

    def accepts(self, signature: bytes, content: bytes) -> bool:
        """Say whether this key made the signature of this content."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            _public_key(self.content).verify(signature, content, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


@attrs.frozen
class SigningKey:
    """A private key, and the public one that accepts what it signs."""

    public: TrustedKey
    sign: Callable[[bytes], bytes] = attrs.field(repr=False, eq=False)
    """Signs a content; every signature is another one, and the public key accepts all of them."""


def read_signing_key(path: Path, environ: Mapping[str, str]) -> SigningKey:
    """Read a private key: PKCS#8 or SEC 1, encrypted or not; the password comes from the environment.

    Raises `UserError` for a file that others may read, and for what is no such key.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read(path, is_private=True)
    if any(kind in content for kind in _COSIGN):
        raise UserError(
            "the key is in cosign's own encrypted format, which is not read here",
            place=str(path),
            remedy=f"{_MAKE_ONE}, and give it to cosign with `cosign import-key-pair --key signing.key`",
        )
    password = environ.get(PASSWORD_VARIABLE) if b"ENCRYPTED" in content else None
    try:
        found = load_pem_private_key(content, password.encode() if password else None)
    except TypeError as error:
        raise UserError(
            "the key is encrypted and no password was given",
            place=str(path),
            remedy=f"set {PASSWORD_VARIABLE} in the engine's environment",
        ) from error
    except ValueError as error:
        raise _unreadable(path, "private", password) from error
    if not isinstance(found, EllipticCurvePrivateKey) or found.curve.name != "secp256r1":
        raise _of_another_kind(path)
    sign = partial(found.sign, signature_algorithm=ECDSA(SHA256()))
    return SigningKey(TrustedKey(path.name, _der(found.public_key())), sign)


def read_trusted_keys(paths: Iterable[Path], *, place: str = "images.trusted_keys") -> tuple[TrustedKey, ...]:
    """Read public keys, each once; of a folder, every file that ends in `.pub` or `.pem`.

    `place` is the setting that named them.
    Raises `UserError` for what is no such key, and when there is none at all.
    """
    files = [file for path in paths for file in _public_files(path)]
    keys = {key.content: key for key in map(_read_trusted, reversed(files))}
    if not keys:
        raise UserError(
            "no key is trusted",
            place=place,
            remedy="name files with public keys, or folders of them",
        )
    return tuple(sorted(keys.values(), key=lambda key: (key.name, key.content)))


def _public_files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        return sorted(file for file in path.iterdir() if file.suffix in _PUBLIC_ENDINGS)
    except OSError as error:
        raise _no_access(path, error) from error


def _read_trusted(path: Path) -> TrustedKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        found = load_pem_public_key(_read(path, is_private=False))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable(path, "public", None) from error
    if not isinstance(found, EllipticCurvePublicKey) or found.curve.name != "secp256r1":
        raise _of_another_kind(path)
    return TrustedKey(path.name, _der(found))


def _public_key(content: bytes) -> EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    found = load_der_public_key(content)
    if not isinstance(found, EllipticCurvePublicKey):
        raise UserError("the key is no elliptic one", place="images.trusted_keys", remedy=_MAKE_ONE)
    return found


def _der(key: EllipticCurvePublicKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path, *, is_private: bool) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hang us
        with os.fdopen(handle, "rb") as file:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                raise UserError("the key is no file", place=str(path), remedy="name a PEM file")
            if is_private and facts.st_mode & stat.S_IRWXO:
                raise UserError(
                    "everybody on this machine may read the private key",
                    place=str(path),
                    remedy=f"`chmod 600 {path}`, and think about whether somebody has it by now",
                )
            content = file.read(MOST_KEY_BYTES + 1)
    except OSError as error:
        raise _no_access(path, error) from error
    if len(content) > MOST_KEY_BYTES:
        raise _unreadable(path, "private" if is_private else "public", None)
    return content


def _no_access(path: Path, error: OSError) -> UserError:
    return UserError(
        f"the key cannot be read: {error.strerror}",
        place=str(path),
        remedy="look at its path, and at its owner and mode: the engine's user reads it",
    )


def _unreadable(path: Path, kind: str, password: str | None) -> UserError:
    if password:
        return UserError(
            "the password does not open the key, or the file is damaged",
            place=str(path),
            remedy=f"look at {PASSWORD_VARIABLE}",
        )
    return UserError(f"this is no {kind} key in PEM", place=str(path), remedy=_MAKE_ONE)


def _of_another_kind(path: Path) -> UserError:
    return UserError("the key is not one of ES256 (ECDSA on P-256)", place=str(path), remedy=_MAKE_ONE)
