"""Keys as openssl makes them, by hand of the library that the engine reads them with."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from modelyard.images.attesting import SigningKey, TrustedKey, read_signing_key, read_trusted_keys

PASSWORD = "open sesame"
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def new_private() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def write_private(path: Path, key: Private, *, password: str = "", old_style: bool = False) -> Path:
    how = serialization.PrivateFormat
    content = key.private_bytes(
        serialization.Encoding.PEM,
        how.TraditionalOpenSSL if old_style else how.PKCS8,
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption(),
    )
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def write_public(path: Path, key: Private) -> Path:
    how = serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, how))
    return path


def pair(folder: Path, name: str) -> tuple[SigningKey, TrustedKey]:
    """Make a key, write both halves and read them."""
    private = new_private()
    key = read_signing_key(write_private(folder / f"{name}.key", private), {})
    (trusted,) = read_trusted_keys([write_public(folder / f"{name}.pub", private)])
    return key, trusted
