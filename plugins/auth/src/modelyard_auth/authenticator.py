"""Issue, rotate and revoke the two keys of a service, and compile them into digests.

Pure but for the randomness, which comes in through the door.
A key reads `mk_<p|s>_<43 url-safe base64 characters>_<6 hex digits>`: 256 random bits, and a checksum
by which a secret scanner tells a real key from a look-alike. The slot letter says which key leaked.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import zlib
from collections.abc import Callable

import attrs
from modelyard.api import AuthPolicy, KeyPair, KeySlot, Maturity, Secret, UserError

KEY_BYTES = 32
MINIMUM_CHARACTERS = 32
"""A key somebody chose: below this a dictionary reaches it. Issued keys are longer."""
MAXIMUM_CHARACTERS = 256
"""Past this the header costs more than the key is worth; routers cap all headers at 60 KiB."""

_LETTERS: dict[KeySlot, str] = {"primary": "p", "secondary": "s"}


@attrs.frozen
class KeyAuthenticator:
    """Serves `auth: key`: a bearer key in the Authorization header, as v1 had it."""

    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    name: str = attrs.field(default="key", init=False)
    maturity: Maturity = attrs.field(default=Maturity.BETA, init=False)

    def issue(self) -> KeyPair:
        """Make two fresh keys."""
        return KeyPair(primary=self._fresh("primary"), secondary=self._fresh("secondary"))

    def rotate(self, keys: KeyPair, slot: KeySlot, value: Secret | None = None) -> KeyPair:
        """Replace one key, with `value` when the caller chose one; the other stays valid."""
        if value is None:
            return _replaced(keys, slot, self._fresh(slot))
        _require_strong(value, slot)
        _require_different(value, keys, slot)
        return _replaced(keys, slot, value)

    def revoke(self, keys: KeyPair, slot: KeySlot) -> KeyPair:
        """Replace one key by one that nobody has seen."""
        return _replaced(keys, slot, self._fresh(slot))

    def compile(self, keys: KeyPair | None) -> AuthPolicy:
        """Give the digests that the router lets in; without keys it lets nobody in."""
        if keys is None:
            return AuthPolicy(mode="key")
        return AuthPolicy(
            mode="key",
            digests={_digest(keys.primary): "primary", _digest(keys.secondary): "secondary"},
        )

    def _fresh(self, slot: KeySlot) -> Secret:
        body = base64.urlsafe_b64encode(self.random_bytes(KEY_BYTES)).rstrip(b"=").decode()
        head = f"mk_{_LETTERS[slot]}_{body}"
        # the low 24 bits: six digits find a typing error and keep the key short
        return Secret(f"{head}_{zlib.crc32(head.encode()) & 0xFFFFFF:06x}")


def _replaced(keys: KeyPair, slot: KeySlot, value: Secret) -> KeyPair:
    return attrs.evolve(keys, primary=value) if slot == "primary" else attrs.evolve(keys, secondary=value)


def _digest(key: Secret) -> str:
    return hashlib.sha256(key.reveal().encode()).hexdigest()


def _require_strong(value: Secret, slot: KeySlot) -> None:
    text = value.reveal()
    # the complaint tells the length and never the key: errors are logged
    if not MINIMUM_CHARACTERS <= len(text) <= MAXIMUM_CHARACTERS:
        raise UserError(
            f"a key of {len(text)} characters was given",
            place=f"{slot} key",
            remedy=f"give {MINIMUM_CHARACTERS} to {MAXIMUM_CHARACTERS} characters, or none to have one made",
        )
    if not all("!" <= character <= "~" for character in text):
        raise UserError(
            "the key given has a space or a character that is not printable ASCII",
            place=f"{slot} key",
            remedy="give letters, digits and signs only, or none to have one made",
        )


def _require_different(value: Secret, keys: KeyPair, slot: KeySlot) -> None:
    other = keys.secondary if slot == "primary" else keys.primary
    if secrets.compare_digest(value.reveal(), other.reveal()):
        raise UserError(
            "the key given is the service's other key already",
            place=f"{slot} key",
            remedy="give a different key: two equal ones could not be rotated one at a time",
        )
