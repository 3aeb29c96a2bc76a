"""Locks of conda: one text for the same packages, and nothing in it that is not everybody's."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.environments import CondaLock, CondaPackage, parse_conda_lock
from modelyard.environments.conda.locks import make_conda_lock
from modelyard.environments.locks import LockDamaged

ONE = CondaPackage(
    name="numpy",
    version="1.26.4",
    build="py311_0",
    build_number=0,
    subdir="linux-64",
    channel="https://h.invalid/c",
    url="https://h.invalid/c/linux-64/numpy-1.26.4-py311_0.conda",
    sha256="0" * 64,
    size=12,
    depends=("python >=3.11,<3.12.0a0",),
)
words = st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True)
packages = st.builds(
    lambda name, version, build, size, noarch, depends, sha: attrs.evolve(
        ONE,
        name=name,
        version=version,
        build=build,
        size=size,
        noarch=noarch,
        depends=tuple(depends),
        sha256=f"{sha:064x}",
        url=f"https://h.invalid/c/linux-64/{name}-{version}-{build}.tar.bz2",
    ),
    words,
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}", fullmatch=True),
    words,
    st.integers(0, 2**40),
    st.sampled_from(["", "generic", "python"]),
    st.lists(st.text(max_size=20), max_size=3),
    st.integers(0, 2**256 - 1),
)
many = st.lists(packages, max_size=6, unique_by=lambda one: one.name)


def locked(*some: CondaPackage) -> CondaLock:
    return make_conda_lock(some, spec_key="s", subdir="linux-64", glibc="2.36")


@given(many)
def test_a_lock_is_read_as_it_was_written(some: list[CondaPackage]):
    lock = locked(*some)
    assert parse_conda_lock(lock.text, spec_key="s") == lock


@given(many, st.randoms())
def test_the_order_of_packages_does_not_count(some: list[CondaPackage], random: object):
    shuffled = random.sample(some, len(some))  # type: ignore[attr-defined]
    one, other = locked(*some), locked(*shuffled)
    assert (one.text, one.lock_key) == (other.text, other.lock_key)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "1.26.5"},
        {"build": "py311_1"},
        {"sha256": "1" * 64},
        {"channel": "https://h.invalid/d"},
        {"depends": ()},
    ],
)
def test_every_fact_counts_for_the_key(changed: dict[str, object]):
    assert locked(attrs.evolve(ONE, **changed)).lock_key != locked(ONE).lock_key  # type: ignore[arg-type]


def test_what_was_asked_for_and_the_glibc_do_not_count_for_the_key():
    other = make_conda_lock([ONE], spec_key="t", subdir="linux-64", glibc="2.17")
    assert other.lock_key == locked(ONE).lock_key


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha256": ""},
        {"sha256": "../x"},
        {"url": "https://h.invalid/c/linux-64/.."},
        {"url": "ftp://h.invalid/numpy-1-0.conda"},
        {"url": "https://me:s3cret@h.invalid/numpy-1-0.conda"},
        {"channel": "https://h.invalid/t/tk-s3cret/c"},
        {"subdir": "osx-64"},
        {"noarch": "ruby"},
        {"size": -1},
    ],
)
def test_a_package_that_could_not_be_fetched_and_checked_is_in_no_lock(wrong: dict[str, object]):
    with pytest.raises(LockDamaged) as caught:
        locked(attrs.evolve(ONE, **wrong))  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)


GOOD = locked(ONE).text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "numpy==1.26.4",
        GOOD.replace('"version":1}', '"version":2}'),
        GOOD.replace('"size":12,', ""),
        GOOD.replace('"size":12', '"size":"12"'),
        GOOD.replace('"depends":[', '"depends":[1,'),
        GOOD.replace('"subdir":"linux-64","version":1', '"subdir":"win-64","version":1'),
        GOOD.replace('"glibc":"2.36"', '"glibc":"new"'),
        GOOD + GOOD.splitlines()[1],
        GOOD[:-40],
    ],
)
def test_a_damaged_lock_is_told(text: str):
    assert text != GOOD
    with pytest.raises(LockDamaged):
        parse_conda_lock(text, spec_key="s")


@given(st.text())
def test_no_text_is_read_otherwise_than_as_a_lock_or_not_at_all(text: str):
    with pytest.raises(LockDamaged):
        parse_conda_lock(text, spec_key="s")
