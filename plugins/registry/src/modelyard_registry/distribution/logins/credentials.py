"""Users and passwords of registries, and where Docker's configuration keeps them.

Pure but for `read_docker_config`. Nothing here quotes what it read: the file is full of secrets.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import attrs
from modelyard.api import Secret, UserError

TOKEN_USER = "<token>"  # noqa: S105  how credential helpers say that the secret is an identity token


@attrs.frozen
class Credentials:
    """Who we are; `life_seconds` is how long this holds, None = unknown."""

    username: str
    secret: Secret
    is_identity_token: bool = False
    life_seconds: float | None = None


@attrs.frozen
class DockerConfig:
    """What `config.json` says: passwords by server, and the programs that know others."""

    passwords: Mapping[str, Credentials] = MappingProxyType({})
    helpers: Mapping[str, str] = MappingProxyType({})
    store: str = ""

    def helper(self, login: str) -> str:
        """Say which helper program is asked for a server; empty = none."""
        return self.helpers.get(bare_host(login), self.store)

    def password(self, login: str) -> Credentials | None:
        """Give what the file itself says."""
        return self.passwords.get(bare_host(login))


def basic_header(credentials: Credentials) -> dict[str, str]:
    """Write the header that shows user and password."""
    clear = f"{credentials.username}:{credentials.secret.reveal()}".encode()
    return {"Authorization": f"Basic {base64.b64encode(clear).decode()}"}


def bare_host(login: str) -> str:
    """Reduce what `docker login` may have written (`https://host/v1/`) to the host."""
    return login.partition("://")[2].partition("/")[0] if "://" in login else login.partition("/")[0]


def find_docker_config(environ: Mapping[str, str]) -> Path:
    """Say where Docker's clients keep it: `$DOCKER_CONFIG`, else `~/.docker`."""
    folder = environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker"
    return Path(folder) / "config.json"


def read_docker_config(path: Path) -> DockerConfig:
    """Read the file; an absent one knows nobody."""
    try:
        return parse_docker_config(path.read_bytes())
    except FileNotFoundError:
        return DockerConfig()
    except (OSError, ValueError, RecursionError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else failure
        raise UserError(
            f"Docker's configuration cannot be read: {why}",
            place=str(path),
            remedy="mend the file, or remove it and log in again",
        ) from None


def parse_docker_config(content: bytes) -> DockerConfig:
    """Read the file's content; `ValueError` says what is wrong and quotes nothing."""
    try:
        raw = json.loads(content)
    except ValueError:
        raise ValueError("it is no JSON") from None
    document = _mapping(raw, "it")
    entries = _mapping(document.get("auths") or {}, "auths")
    helpers = _mapping(document.get("credHelpers") or {}, "credHelpers")
    found = {bare_host(login): _entry(login, entry) for login, entry in entries.items()}
    return DockerConfig(
        passwords=MappingProxyType({host: one for host, one in found.items() if one}),
        helpers=MappingProxyType({bare_host(login): str(helper) for login, helper in helpers.items()}),
        store=str(document.get("credsStore") or ""),
    )


def _entry(login: str, raw: object) -> Credentials | None:
    entry = _mapping(raw, f"the entry of {login!r}")
    username, password = _decode(login, str(entry.get("auth") or ""))
    if token := entry.get("identitytoken"):
        return Credentials(username, Secret(str(token)), is_identity_token=True)
    username = username or str(entry.get("username") or "")
    password = password or str(entry.get("password") or "")
    # an entry without either says only that a helper has it
    return Credentials(username, Secret(password)) if username and password else None


def _decode(login: str, auth: str) -> tuple[str, str]:
    try:
        username, _, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"the entry of {login!r} is no base64") from None
    return username, password.rstrip("\0")


def _mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no mapping")  # noqa: TRY004  one kind of error for every damage
    return value
