"""The promise of `Authenticator`."""

from __future__ import annotations

import hashlib
from typing import get_args

import pytest

from modelyard.api import Authenticator, KeyPair, KeySlot, Maturity, Secret, UserError

SLOTS: tuple[KeySlot, ...] = get_args(KeySlot)
STRONG = Secret("a-key-of-the-users-own-with-enough-characters")


class AuthenticatorConformance:
    """Override `authenticator`."""

    @pytest.fixture
    def authenticator(self) -> Authenticator:
        """Give the authenticator under test."""
        raise NotImplementedError

    def test_the_record_names_itself(self, authenticator: Authenticator) -> None:
        """It satisfies the Protocol with a name and a maturity."""
        assert isinstance(authenticator, Authenticator)
        assert authenticator.name
        assert authenticator.name != "none"
        assert isinstance(authenticator.maturity, Maturity)

    def test_every_issued_key_is_new(self, authenticator: Authenticator) -> None:
        """Four keys of two services are four keys."""
        pairs = (authenticator.issue(), authenticator.issue())
        assert len({key.reveal() for pair in pairs for key in (pair.primary, pair.secondary)}) == 4

    def test_both_keys_are_compiled_to_their_digests(self, authenticator: Authenticator) -> None:
        """The router gets SHA-256 digests, each with its slot, and no clear key."""
        keys = authenticator.issue()
        policy = authenticator.compile(keys)
        assert policy.mode == "key"
        assert dict(policy.digests) == {
            _digest(keys.primary): "primary",
            _digest(keys.secondary): "secondary",
        }

    def test_without_keys_nobody_gets_in(self, authenticator: Authenticator) -> None:
        """Compiling nothing fails closed."""
        policy = authenticator.compile(None)
        assert policy.mode == "key"
        assert not policy.digests

    @pytest.mark.parametrize("slot", SLOTS)
    def test_rotating_a_slot_leaves_the_other_alone(
        self, authenticator: Authenticator, slot: KeySlot
    ) -> None:
        """One key changes under load while the other goes on working."""
        before = authenticator.issue()
        after = authenticator.rotate(before, slot)
        assert _slot(after, slot) != _slot(before, slot)
        assert _slot(after, _other(slot)) == _slot(before, _other(slot))

    @pytest.mark.parametrize("slot", SLOTS)
    def test_a_strong_key_of_the_users_own_is_taken(
        self, authenticator: Authenticator, slot: KeySlot
    ) -> None:
        """`value` becomes the key."""
        after = authenticator.rotate(authenticator.issue(), slot, STRONG)
        assert _slot(after, slot) == STRONG.reveal()

    @pytest.mark.parametrize("weak", ["", "short", "x" * 31, "ü" * 40, "a" * 39 + "\n"])
    def test_a_weak_key_of_the_users_own_is_refused(self, authenticator: Authenticator, weak: str) -> None:
        """Under 32 characters, or not printable ASCII; the error does not repeat the key."""
        with pytest.raises(UserError) as caught:
            authenticator.rotate(authenticator.issue(), "primary", Secret(weak))
        assert not weak or weak not in str(caught.value)

    @pytest.mark.parametrize("slot", SLOTS)
    def test_a_revoked_key_is_valid_no_more(self, authenticator: Authenticator, slot: KeySlot) -> None:
        """Its digest is gone and the other key's is still there."""
        before = authenticator.issue()
        digests = authenticator.compile(authenticator.revoke(before, slot)).digests
        assert hashlib.sha256(_slot(before, slot).encode()).hexdigest() not in digests
        assert hashlib.sha256(_slot(before, _other(slot)).encode()).hexdigest() in digests


def _digest(key: Secret) -> str:
    return hashlib.sha256(key.reveal().encode()).hexdigest()


def _slot(keys: KeyPair, slot: KeySlot) -> str:
    return (keys.primary if slot == "primary" else keys.secondary).reveal()


def _other(slot: KeySlot) -> KeySlot:
    return "secondary" if slot == "primary" else "primary"
