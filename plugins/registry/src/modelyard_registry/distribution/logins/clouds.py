"""How a cloud turns the identity of a machine into a registry's password: ECR, ACR and GAR.

Pure: each record says what to ask, and reads the answer. Where to ask is the user's to say, by a pattern
over the registry's own name; no cloud's host name stands here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import attrs
from modelyard.api import Secret, UserError

from modelyard_registry.distribution.logins.credentials import Credentials
from modelyard_registry.distribution.logins.signing import AccessKey, Signing, sign
from modelyard_registry.distribution.messages import Request, of_bytes

ACR_USER = "00000000-0000-0000-0000-000000000000"
"""What ACR wants as the user of a refresh token."""
ACR_LIFE_SECONDS = 3600.0
"""A refresh token lives three hours and does not say so where it can be read unchecked."""
GAR_USER = "oauth2accesstoken"


@attrs.frozen
class Asking:
    """What an exchange knows when it asks. `names` are the parts that the pattern found in `host`."""

    host: str
    url: str
    names: Mapping[str, str]
    identity: Mapping[str, Secret]
    now: datetime

    def name(self, wanted: str) -> str:
        """Give a part of the registry's name that this cloud cannot do without."""
        if wanted not in self.names:
            raise UserError(
                f"the pattern finds no {wanted!r} in {self.host}",
                place="registries.toml",
                remedy=f"write {{{wanted}}} where it stands in the host's name",
            )
        return self.names[wanted]

    def secret(self, wanted: str) -> Secret:
        """Give a part of the machine's identity that this cloud cannot do without."""
        if wanted not in self.identity:
            raise UserError(
                f"nothing says {wanted}, which the token exchange of {self.host} needs",
                place="the environment of the engine",
                remedy=f"set {wanted} before the engine starts",
            )
        return self.identity[wanted]


@attrs.frozen
class Exchange:
    """One cloud. `identity` names the environment's variables that it may read."""

    ask: Callable[[Asking], Request]
    read: Callable[[bytes, datetime], Credentials]
    identity: tuple[str, ...] = ()


def fit(pattern: str, host: str) -> dict[str, str] | None:
    """Find the parts `{name}` of a pattern in a host's name; each is one label. None = it does not fit."""
    pieces = re.split(r"\{([a-z_]+)\}", pattern)
    expression = "".join(
        f"(?P<{piece}>[^.:/]+)" if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces)
    )
    found = re.fullmatch(expression, host)
    return found.groupdict() if found else None


def fill(template: str, names: Mapping[str, str]) -> str:
    """Put the parts into an address; `KeyError` names one that the pattern did not find."""
    return re.sub(r"\{([a-z_]+)\}", lambda found: names[found[1]], template)


def _ask_ecr(asking: Asking) -> Request:
    session = asking.identity.get("AWS_SESSION_TOKEN")
    access = AccessKey(
        asking.secret("AWS_ACCESS_KEY_ID").reveal(), asking.secret("AWS_SECRET_ACCESS_KEY"), session
    )
    body = json.dumps({"registryIds": [asking.name("account")]}).encode()
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
    }
    signing = Signing(asking.name("region"), "ecr", asking.now)
    signed = sign("POST", asking.url, headers, body, access=access, signing=signing)
    return Request("POST", asking.url, signed, of_bytes(body))


def _read_ecr(content: bytes, now: datetime) -> Credentials:
    entry = _object(content)["authorizationData"][0]
    username, _, password = base64.b64decode(entry["authorizationToken"]).decode().partition(":")
    life = float(entry["expiresAt"]) - now.timestamp() if "expiresAt" in entry else None
    return Credentials(username, Secret(password), life_seconds=life)


def _ask_acr(asking: Asking) -> Request:
    fields = {
        "grant_type": "access_token",
        "service": asking.host,
        "access_token": asking.secret("AZURE_ACCESS_TOKEN").reveal(),
    }
    if tenant := asking.identity.get("AZURE_TENANT_ID"):
        fields["tenant"] = tenant.reveal()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", asking.url, headers, of_bytes(urlencode(fields).encode()))


def _read_acr(content: bytes, _now: datetime) -> Credentials:
    token = str(_object(content)["refresh_token"])
    return Credentials(ACR_USER, Secret(token), is_identity_token=True, life_seconds=ACR_LIFE_SECONDS)


def _ask_gar(asking: Asking) -> Request:
    # the machine's metadata server answers only to whoever can set a header
    return Request("GET", asking.url, {"Metadata-Flavor": "Google"})


def _read_gar(content: bytes, _now: datetime) -> Credentials:
    answer = _object(content)
    life = float(answer["expires_in"])
    return Credentials(GAR_USER, Secret(str(answer["access_token"])), life_seconds=life)


def _object(content: bytes) -> dict[str, Any]:
    answer = json.loads(content)
    if not isinstance(answer, dict):
        raise ValueError("the answer is no mapping")  # noqa: TRY004  one kind of error for every damage
    return answer


EXCHANGES: Mapping[str, Exchange] = MappingProxyType(
    {
        "ecr": Exchange(
            _ask_ecr, _read_ecr, ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        ),
        "acr": Exchange(_ask_acr, _read_acr, ("AZURE_ACCESS_TOKEN", "AZURE_TENANT_ID")),
        "gar": Exchange(_ask_gar, _read_gar),
    }
)
