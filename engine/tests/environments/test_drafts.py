"""Records are looked at before they are kept, and noted while they are used."""

from __future__ import annotations

import asyncio

import pytest
from modelyard.api import EnvironmentSpec
from modelyard.environments import Drafts, Noted, explain_nearest

from engine.tests.environments.conftest import Records


def test_drafts_are_read_back_and_reach_the_records_only_when_kept():
    records = Records()
    records.texts = {"a": "old", "b": "same"}
    drafts = Drafts(records)

    async def case() -> None:
        await drafts.save("a", "new")
        await drafts.save("b", "same")
        assert (await drafts.load("a"), await drafts.load("c")) == ("new", None)
        assert records.texts == {"a": "old", "b": "same"}
        assert await drafts.keep() == 1
        assert records.texts == {"a": "new", "b": "same"}
        assert await drafts.keep() == 0

    asyncio.run(case())


def test_what_is_asked_for_is_told_before_and_what_is_used_after():
    records, told = Records(), list[tuple[str, str]]()
    records.texts = {"a": ""}

    async def used(key: str) -> None:
        told.append(("used", key))

    noted = Noted(records, lambda key: told.append(("asked", key)), used)

    async def case() -> None:
        assert (await noted.load("a"), await noted.load("b")) == ("", None)
        await noted.save("b", "text")

    asyncio.run(case())
    assert told == [("asked", "a"), ("used", "a"), ("asked", "b"), ("asked", "b"), ("used", "b")]


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ((), "no environment was built before"),
        ((("a",), ("a", "b", "c")), "requirements: +b"),
        ((("a", "b"),), "same specification; the interpreter, the runtime or the cache changed"),
    ],
)
def test_a_miss_is_told_against_the_nearest(known: tuple[tuple[str, ...], ...], words: str):
    specs = [EnvironmentSpec(requirements=one) for one in known]
    assert explain_nearest(specs, EnvironmentSpec(requirements=("a", "b"))) == words
