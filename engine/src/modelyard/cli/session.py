"""What every command shares: the engine's home and a client for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.client import Client
    from modelyard.processes import Home


def _connect(home: Home) -> Client:
    from modelyard.client import Client

    return Client(home)


@dataclass(frozen=True)
class Session:
    """The home that `--home` or the environment names; `connect` is what tests replace."""

    home: Home
    connect: Callable[[Home], Client] = _connect

    @classmethod
    def of(cls, home: str | None) -> Session:
        """Work out the home; creates nothing."""
        from modelyard.processes import find_home

        return cls(find_home({**os.environ, "MODELYARD_HOME": home} if home else os.environ))

    @property
    def client(self) -> Client:
        """A client; it connects with the first question."""
        return self.connect(self.home)
