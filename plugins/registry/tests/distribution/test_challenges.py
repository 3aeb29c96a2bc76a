"""Every WWW-Authenticate header is read or left, and none takes long or raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_registry.distribution.logins.challenges import (
    LONGEST_HEADER,
    Basic,
    Bearer,
    Challenge,
    choose,
    parse,
)

WORDS = st.text(alphabet="abcXYZ019-_.", min_size=1, max_size=8)
VALUES = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
CHALLENGES = st.builds(
    Challenge, WORDS.map(str.lower), st.dictionaries(WORDS.map(str.lower), VALUES, min_size=1, max_size=4)
)


def write(challenge: Challenge) -> str:
    pairs = [
        f'{name}="{value}"'
        for name, value in (
            (n, v.replace("\\", "\\\\").replace('"', '\\"')) for n, v in challenge.parameters.items()
        )
    ]
    return f"{challenge.scheme} {', '.join(pairs)}"


@given(st.lists(CHALLENGES, max_size=4))
def test_what_is_written_is_read(challenges: list[Challenge]):
    assert parse([", ".join(map(write, challenges))]) == tuple(challenges)
    assert parse(map(write, challenges)) == tuple(challenges)


@given(st.lists(st.text() | st.text(alphabet='Bearer =",\\ \t', max_size=60), max_size=3))
def test_nothing_that_arrives_raises(headers: list[str]):
    choose(parse(headers))


def test_only_the_beginning_of_a_header_is_read():
    assert parse([f"Basic,{' ' * LONGEST_HEADER}Bearer realm=x"]) == (Challenge("basic"),)


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        (
            'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
            Bearer("https://auth.example/token", "registry.example", frozenset({"repository:a/b:pull,push"})),
        ),
        ("bearer realm=https://auth.example/token", Bearer("https://auth.example/token")),
        ('Bearer realm="x",scope="a:b:c d:e:f"', Bearer("x", "", frozenset({"a:b:c", "d:e:f"}))),
        ('Basic realm="Registry Realm"', Basic()),
        ("Basic", Basic()),
        ('Basic realm="x", Bearer realm="y"', Bearer("y")),
        ("Negotiate YIIg+/==, Basic realm=x", Basic()),
        ('Bearer realm="first", Bearer realm="second"', Bearer("first")),
        ('Bearer realm="first",realm="second"', Bearer("first")),
        ('Bearer error="invalid_token"', None),
        ('Digest realm="x"', None),
        ("", None),
        ('realm="https://auth.example"', None),
    ],
)
def test_a_token_is_preferred_to_a_password(header: str, chosen: Bearer | Basic | None):
    assert choose(parse([header])) == chosen
