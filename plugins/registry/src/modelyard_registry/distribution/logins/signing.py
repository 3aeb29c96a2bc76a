"""Sign a request in the way of AWS, version 4.

Pure. Only what token exchanges need: one path, no query, a body in memory.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import attrs
from modelyard.api import Secret

ALGORITHM = "AWS4-HMAC-SHA256"


@attrs.frozen
class AccessKey:
    """A key pair of the cloud, and the session it belongs to."""

    identity: str
    secret: Secret
    session: Secret | None = None


@attrs.frozen
class Signing:
    """What a signature is good for."""

    region: str
    service: str
    at: datetime

    @property
    def scope(self) -> str:
        """Where and when the signing key holds."""
        return f"{self.at:%Y%m%d}/{self.region}/{self.service}/aws4_request"

    def key(self, access: AccessKey) -> bytes:
        """Derive the signing key, step by step, from the secret."""
        key = f"AWS4{access.secret.reveal()}".encode()
        for step in self.scope.split("/"):
            key = hmac.digest(key, step.encode(), "sha256")
        return key


def sign(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, access: AccessKey, signing: Signing
) -> dict[str, str]:
    """Give the headers to send: those handed in, the date, and the signature over all of them."""
    parts = urlsplit(url)
    date = f"{signing.at:%Y%m%dT%H%M%SZ}"
    signed = {name.lower(): value for name, value in headers.items()}
    signed |= {"host": parts.netloc, "x-amz-date": date}
    if access.session:
        signed["x-amz-security-token"] = access.session.reveal()
    names = ";".join(sorted(signed))
    lines = [f"{name}:{signed[name].strip()}" for name in sorted(signed)]
    canonical = "\n".join(
        [method, parts.path or "/", "", *lines, "", names, hashlib.sha256(body).hexdigest()]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{date}\n{signing.scope}\n{digest}".encode()
    signature = hmac.new(signing.key(access), to_sign, "sha256").hexdigest()
    credential = f"Credential={access.identity}/{signing.scope}"
    authorization = f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "authorization": authorization}
