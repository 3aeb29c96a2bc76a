"""The user's own settings of conda: where names of channels lead, and the credentials of hosts.

Read as conda and rattler have them, so that who can install a package by hand needs to tell nothing twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import attrs

from modelyard.api import UserError
from modelyard.environments.conda.credentials import Credential, of_host, read_stored


@attrs.frozen
class CondaSettings:
    """What `.condarc` says of channels, addresses as written there, and credentials by host."""

    alias: str = attrs.field(repr=False)
    channels: tuple[str, ...] = attrs.field(default=(), repr=False)
    default_channels: tuple[str, ...] = attrs.field(default=(), repr=False)
    custom_channels: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    multichannels: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, repr=False)
    stored: Mapping[str, Credential] = attrs.field(factory=dict, repr=False)

    def credential(self, url: str) -> Credential | None:
        """Give what is stored for the host of an address."""
        return of_host(self.stored, url)


def read_settings(environ: Mapping[str, str]) -> CondaSettings:
    """Read `$CONDARC` or `~/.condarc`, `CONDA_CHANNEL_ALIAS`, and rattler's store of credentials.

    Blocks. A keyring is not asked. Raises `UserError` for a file that cannot be read.
    """
    home = Path(environ.get("HOME") or Path.home())
    condarc = _read_condarc(Path(environ.get("CONDARC") or home / ".condarc"), environ)
    alias = environ.get("CONDA_CHANNEL_ALIAS") or condarc.text("channel_alias") or _alias_of_rattler()
    store = Path(environ.get("RATTLER_AUTH_FILE") or home / ".rattler" / "credentials.json")
    return CondaSettings(
        alias=alias,
        channels=condarc.texts("channels"),
        default_channels=condarc.texts("default_channels"),
        custom_channels={name: str(base) for name, base in condarc.mapping("custom_channels").items()},
        multichannels={
            name: _texts(several) for name, several in condarc.mapping("custom_multichannels").items()
        },
        stored=read_stored(_read_store(store)),
    )


@attrs.frozen
class _Condarc:
    values: Mapping[str, object]

    def text(self, key: str) -> str:
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        return _texts(self.values.get(key))

    def mapping(self, key: str) -> dict[str, object]:
        value = self.values.get(key)
        return {str(name): one for name, one in value.items()} if isinstance(value, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def _read_condarc(path: Path, environ: Mapping[str, str]) -> _Condarc:
    import yaml

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Condarc({})
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _unreadable(path, "conda's settings") from error
    expanded = _expanded(read, environ)
    return _Condarc(expanded if isinstance(expanded, dict) else {})


def _expanded(value: object, environ: Mapping[str, str]) -> object:
    """Put variables in, as conda does: `${TOKEN}` keeps a secret out of the file."""
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda m: environ.get(m[1] or m[2], m[0]), value)
    if isinstance(value, dict):
        return {str(name): _expanded(one, environ) for name, one in value.items()}
    return [_expanded(one, environ) for one in value] if isinstance(value, list) else value


def _read_store(path: Path) -> dict[str, object]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path, "the store of channels' credentials") from error
    return read if isinstance(read, dict) else {}


def _unreadable(path: Path, what: str) -> UserError:
    return UserError(f"{what} cannot be read", place=str(path), remedy="mend the file, or remove it")


def _alias_of_rattler() -> str:
    from rattler import Channel

    name = "any"
    return str(Channel(name).base_url).removesuffix(f"{name}/")
