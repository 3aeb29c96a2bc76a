"""Clear keys: one 0600 file a service, replaced atomically. The only place on disk that has them."""

from __future__ import annotations

import json
from pathlib import Path

from modelyard.api import KeyPair, Secret, StoreDamaged
from modelyard.processes import write_atomic


class KeyStore:
    """The keys folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, service: str) -> KeyPair | None:
        """Give a service's keys; None when it has none. Raises `StoreDamaged` for a broken file."""
        path = self._path(service)
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return KeyPair(primary=Secret(str(raw["primary"])), secondary=Secret(str(raw["secondary"])))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            # from None: the text of a JSON error may quote the file
            raise StoreDamaged(
                f"the key file of {service!r} cannot be read",
                place=str(path),
                remedy=f"remove it and run `engine keys {service} --rotate primary` to issue new keys",
            ) from None

    def write(self, service: str, keys: KeyPair) -> None:
        """Keep a service's keys."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {"primary": keys.primary.reveal(), "secondary": keys.secondary.reveal()}
        write_atomic(self._path(service), json.dumps(content).encode(), mode=0o600)

    def delete(self, service: str) -> None:
        """Forget a service's keys; absent is fine."""
        self._path(service).unlink(missing_ok=True)

    def _path(self, service: str) -> Path:
        return self._folder / f"{service}.json"
