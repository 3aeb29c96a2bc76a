"""Authentication: keys are issued here and compiled into router settings, never asked per request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import attrs

from modelyard.api.plugins import Maturity
from modelyard.api.secrets import Secret

KeySlot = Literal["primary", "secondary"]


@attrs.frozen
class KeyPair:
    """The two keys of a service; both are valid at once, so that one can be rotated under load."""

    primary: Secret
    secondary: Secret


@attrs.frozen
class AuthPolicy:
    """What the router enforces for one service: hex SHA-256 of each valid key -> slot name.

    `mode` "none" lets every request through; "key" needs a bearer key of `digests`.
    """

    mode: Literal["none", "key"]
    digests: Mapping[str, str] = attrs.field(factory=dict)


@runtime_checkable
class Authenticator(Protocol):
    """Issues credentials for one auth mode and compiles them into router settings.

    Implementations hold no state: the engine stores what `issue` and `rotate` return.
    """

    @property
    def name(self) -> str:
        """The `auth:` value of a spec that this authenticator serves (`key`)."""
        ...

    @property
    def maturity(self) -> Maturity:
        """How far this authenticator may be relied on."""
        ...

    def issue(self) -> KeyPair:
        """Make fresh credentials for a new service."""
        ...

    def rotate(self, keys: KeyPair, slot: KeySlot, value: Secret | None = None) -> KeyPair:
        """Replace one slot, with `value` if given; the other slot is untouched.

        Raises `UserError` when `value` is too weak (under 32 characters, or not printable ASCII).
        """
        ...

    def revoke(self, keys: KeyPair, slot: KeySlot) -> KeyPair:
        """Make the slot's current key invalid at once, by replacing it with one nobody has seen."""
        ...

    def compile(self, keys: KeyPair | None) -> AuthPolicy:
        """Turn credentials into what the router enforces; fails closed."""
        ...
