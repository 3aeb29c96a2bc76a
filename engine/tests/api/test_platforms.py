"""A platform finds what runs on it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import Platform

KINDS = st.builds(
    Platform,
    st.sampled_from(["linux", "windows"]),
    st.sampled_from(["amd64", "arm64", "arm"]),
    st.sampled_from(["", "v7", "v8"]),
)


@given(st.lists(KINDS, max_size=6), KINDS)
def test_what_is_chosen_runs_on_the_machine(offered: list[Platform], wanted: Platform):
    chosen = wanted.choose((one, one) for one in offered)
    fitting = [one for one in offered if one.meant == wanted.meant]
    if fitting:
        assert chosen is fitting[0]
    elif chosen:
        assert (chosen.os, chosen.architecture, chosen.variant) == (wanted.os, wanted.architecture, "")


@pytest.mark.parametrize(
    ("offered", "wanted", "number"),
    [
        (["linux/amd64", "linux/arm64/v8"], "linux/arm64", 1),
        (["linux/arm64"], "linux/arm64/v8", 0),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm", 1),
        (["linux/amd64", "linux/amd64/v3"], "linux/amd64/v3", 1),
        (["linux/amd64"], "linux/amd64/v3", 0),
        (["unknown/unknown", "linux/amd64"], "linux/amd64", 1),
        (["linux/amd64/v3"], "linux/amd64", None),
        ([], "linux/amd64", None),
    ],
)
def test_a_variant_is_meant_where_none_is_named(offered: list[str], wanted: str, number: int | None):
    platforms = [(Platform.parse(text), place) for place, text in enumerate(offered)]
    assert Platform.parse(wanted).choose(platforms) == number


@given(KINDS)
def test_a_platform_is_read_as_it_is_written(platform: Platform):
    assert Platform.parse(str(platform)) == platform


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux/arm/v7/x"])
def test_what_is_no_platform_is_refused(text: str):
    with pytest.raises(ValueError, match="no platform"):
        Platform.parse(text)
