"""What `auth: key` promises."""

from __future__ import annotations

import hashlib
import re
import string
import zlib
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import Authenticator, KeyPair, Secret, UserError
from modelyard_auth import KeyAuthenticator

KEY = re.compile(r"mk_(?P<slot>[ps])_(?P<body>[A-Za-z0-9_-]{43})_(?P<sum>[0-9a-f]{6})")
SLOTS: tuple[Literal["primary", "secondary"], ...] = ("primary", "secondary")
PRINTABLE = string.ascii_letters + string.digits + string.punctuation


@pytest.fixture
def authenticator() -> KeyAuthenticator:
    return KeyAuthenticator()


def value_of(keys: KeyPair, slot: str) -> str:
    secret: Secret = getattr(keys, slot)
    return secret.reveal()


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_it_is_an_authenticator(authenticator: KeyAuthenticator):
    assert isinstance(authenticator, Authenticator)
    assert authenticator.name == "key"


def test_issued_keys_tell_their_slot_and_carry_a_checksum(authenticator: KeyAuthenticator):
    keys = authenticator.issue()
    for slot in SLOTS:
        found = KEY.fullmatch(value_of(keys, slot))
        assert found is not None
        assert found["slot"] == slot[0]
        head = value_of(keys, slot)[:-7]
        assert found["sum"] == f"{zlib.crc32(head.encode()):08x}"[-6:]


def test_issued_keys_carry_all_the_randomness_they_are_given():
    asked = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes([len(asked)]) * count

    keys = KeyAuthenticator(random_bytes=random_bytes).issue()
    assert asked == [32, 32]
    assert value_of(keys, "primary")[5:48] == "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"


def test_no_two_issued_keys_are_equal(authenticator: KeyAuthenticator):
    keys = [value_of(pair, slot) for pair in (authenticator.issue() for _ in range(50)) for slot in SLOTS]
    assert len(set(keys)) == 100


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize("act", ["rotate", "revoke"])
def test_one_slot_changes_and_the_other_stays(authenticator: KeyAuthenticator, act: str, slot: str):
    keys = authenticator.issue()
    changed = getattr(authenticator, act)(keys, slot)
    other = "secondary" if slot == "primary" else "primary"
    assert value_of(changed, other) == value_of(keys, other)
    assert value_of(changed, slot) != value_of(keys, slot)
    assert digest_of(value_of(keys, slot)) not in authenticator.compile(changed).digests


@given(value=st.text(alphabet=PRINTABLE, min_size=32, max_size=256))
def test_any_strong_printable_key_can_be_chosen(value: str):
    authenticator = KeyAuthenticator()
    keys = authenticator.rotate(authenticator.issue(), "secondary", Secret(value))
    assert authenticator.compile(keys).digests[digest_of(value)] == "secondary"


@pytest.mark.parametrize(
    "value",
    ["", "k" * 31, "k" * 257, "k" * 20 + " " + "k" * 20, "k" * 40 + "\n", "k" * 40 + "\x7f", "é" * 40],
)
def test_a_weak_or_unprintable_key_is_refused_without_being_repeated(
    authenticator: KeyAuthenticator, value: str
):
    with pytest.raises(UserError) as caught:
        authenticator.rotate(authenticator.issue(), "primary", Secret(value))
    assert caught.value.place == "primary key"
    assert caught.value.remedy
    assert not value or value not in str(caught.value)


def test_a_key_equal_to_the_other_slot_is_refused(authenticator: KeyAuthenticator):
    keys = authenticator.issue()
    with pytest.raises(UserError, match="other key"):
        authenticator.rotate(keys, "primary", keys.secondary)


def test_compiling_gives_digests_and_never_a_key(authenticator: KeyAuthenticator):
    keys = authenticator.issue()
    policy = authenticator.compile(keys)
    assert policy.mode == "key"
    assert policy.digests == {digest_of(value_of(keys, slot)): slot for slot in SLOTS}
    assert not any(value_of(keys, slot) in repr(policy) for slot in SLOTS)


def test_compiling_nothing_lets_nobody_in(authenticator: KeyAuthenticator):
    policy = authenticator.compile(None)
    assert policy.mode == "key"
    assert not policy.digests
