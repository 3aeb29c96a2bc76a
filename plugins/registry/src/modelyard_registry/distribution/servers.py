"""Which servers there are: `registries.toml`, read with every mistake at once.

TOML, as the registry files of podman and containerd are. An absent file names no server.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from modelyard.api import UserError

from modelyard_registry.distribution.logins.clouds import EXCHANGES, fill, fit
from modelyard_registry.distribution.places import Origin, UntrustedPlace, is_loopback, origin_of
from modelyard_registry.names import check_repository

LOGINS = ("docker", "none", *EXCHANGES)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PLACE = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")
_KINDS: Mapping[str, type] = {
    "host": str,
    "prefix": str,
    "insecure": bool,
    "ca_file": str,
    "auth": str,
    "docker_login": str,
    "realms": list,
    "exchange_pattern": str,
    "exchange_url": str,
}
_WORDS = {str: "a text", bool: "true or false", list: "a list of texts"}


@attrs.frozen
class Server:
    """One registry server as its user describes it; `origin` says whether it is asked with TLS."""

    name: str
    origin: Origin
    prefix: str = ""
    ca_file: Path | None = None
    auth: str = "docker"
    docker_login: str = ""
    realms: frozenset[str] = frozenset()
    exchange_url: str = ""
    names: Mapping[str, str] = attrs.field(factory=dict)
    """What `exchange_pattern` found in the host's name."""

    @property
    def login(self) -> str:
        """Under which name Docker's configuration keeps the password."""
        return self.docker_login or self.origin.netloc

    def full(self, repository: str) -> str:
        """Say a repository's name on the server."""
        return f"{self.prefix}/{repository}" if self.prefix else repository


def read_servers(path: Path) -> tuple[Server, ...]:
    """Read the file; raises `UserError` with every mistake."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as failure:
        raise _wrong(path, [f"it cannot be read: {failure.strerror}"]) from failure
    servers, mistakes = parse_servers(content)
    if mistakes:
        raise _wrong(path, mistakes)
    return servers


def parse_servers(content: bytes) -> tuple[tuple[Server, ...], list[str]]:
    """Read the file's content; give the servers, and every mistake as a sentence."""
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as failure:
        return (), [f"it is no TOML: {failure}"]
    mistakes = [_unknown("", key, ["registry"]) for key in document if key != "registry"]
    entries = document.get("registry", {})
    if not isinstance(entries, dict):
        return (), [*mistakes, "registry: must be tables, as [registry.company]"]
    servers = []
    for name, entry in entries.items():
        found = list(_mistakes(name, entry))
        mistakes += [f"registry.{name}{sentence}" for sentence in found]
        servers += [] if found else [_build(name, entry)]
    return tuple(servers), mistakes


def _mistakes(name: str, raw: object) -> Iterator[str]:
    """Find what is wrong with one table, each mistake told once."""
    if not isinstance(raw, dict):
        yield ": must be a table, as [registry.company]"
        return
    if not _NAME.fullmatch(name):
        yield ": its name may have lower-case letters, digits and '-'"
    yield from (_unknown(".", one, list(_KINDS)) for one in raw if one not in _KINDS)
    mistyped = [one for one, kind in _KINDS.items() if one in raw and not _is(raw[one], kind)]
    yield from (f".{one}: must be {_WORDS[_KINDS[one]]}" for one in mistyped)
    if not mistyped:
        yield from _wrong_values(raw)


def _wrong_values(raw: Mapping[str, Any]) -> Iterator[str]:
    host_is_plain = _is_place(raw.get("host", ""))
    if not host_is_plain:
        yield f".host: {raw.get('host', '')!r} is no host with perhaps a port, as registry.example:5000"
    for realm in raw.get("realms", ()):
        if not _is_place(realm):
            yield f".realms: {realm!r} is no host with perhaps a port, as auth.example"
    if raw.get("auth", "docker") not in LOGINS:
        yield f".auth: {raw['auth']!r} is none of {', '.join(LOGINS)}"
    if "prefix" in raw and not _is_repository(raw["prefix"]):
        yield f".prefix: {raw['prefix']!r} is no beginning of a repository's name, as team/models"
    if "ca_file" in raw and not Path(raw["ca_file"]).expanduser().is_absolute():
        yield f".ca_file: {raw['ca_file']!r} must begin at / or ~: the engine runs in a folder of its own"
    if host_is_plain:
        yield from _wrong_exchange(raw)


def _wrong_exchange(raw: Mapping[str, Any]) -> Iterator[str]:
    if raw.get("auth") not in EXCHANGES:
        named = (one for one in ("exchange_pattern", "exchange_url") if one in raw)
        yield from (f".{one}: means nothing without auth = {' or '.join(EXCHANGES)}" for one in named)
        return
    parts = _parts(raw)
    if parts is None:
        yield f".exchange_pattern: {raw['exchange_pattern']!r} does not fit {raw['host']}"
        return
    try:
        url = fill(raw["exchange_url"], parts)
        place = origin_of(url)
    except (KeyError, UntrustedPlace):
        yield ".exchange_url: must be an address, with {parts} that exchange_pattern finds in the host"
        return
    # GAR's metadata server is this machine's and is sent nothing; the others see an identity
    if place.scheme != "https" and raw["auth"] != "gar" and not is_loopback(place.host):
        yield f".exchange_url: {url} would show the machine's identity without TLS"


def _build(name: str, raw: Mapping[str, Any]) -> Server:
    host, parts = raw["host"].lower(), _parts(raw) or {}
    ca_file = Path(raw["ca_file"]).expanduser() if "ca_file" in raw else None
    # nobody listens between a machine and itself
    own = is_loopback(origin_of(f"https://{host}").host)
    plain = raw.get("insecure", own and ca_file is None)
    return Server(
        name=name,
        origin=origin_of(f"{'http' if plain else 'https'}://{host}"),
        prefix=raw.get("prefix", ""),
        ca_file=ca_file,
        auth=raw.get("auth", "docker"),
        docker_login=raw.get("docker_login", ""),
        realms=frozenset(origin_of(f"https://{realm}").netloc for realm in raw.get("realms", ())),
        exchange_url=fill(raw.get("exchange_url", ""), parts),
        names=parts,
    )


def _parts(raw: Mapping[str, Any]) -> dict[str, str] | None:
    return fit(raw["exchange_pattern"], raw["host"].lower()) if "exchange_pattern" in raw else {}


def _is_place(text: str) -> bool:
    try:
        return bool(_PLACE.fullmatch(text) and origin_of(f"https://{text}"))
    except UntrustedPlace:
        return False


def _is_repository(text: str) -> bool:
    try:
        check_repository(text)
    except UserError:
        return False
    return True


def _is(value: object, kind: type) -> bool:
    if isinstance(value, list):
        return kind is list and all(isinstance(one, str) for one in value)
    return isinstance(value, kind)


def _unknown(before: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    return f"{before}{name}: is an unknown key; {meant}"


def _wrong(path: Path, mistakes: list[str]) -> UserError:
    return UserError(
        f"the list of registries is wrong: {'; '.join(mistakes)}",
        place=str(path),
        remedy="mend the file and start the engine again",
    )
