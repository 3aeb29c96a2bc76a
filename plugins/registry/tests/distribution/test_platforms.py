"""An index gives the manifest for a machine, or none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_registry.distribution.platforms import Platform, choose, list_platforms, parse_platform

KINDS = st.builds(
    Platform,
    st.sampled_from(["linux", "windows"]),
    st.sampled_from(["amd64", "arm64", "arm"]),
    st.sampled_from(["", "v7", "v8"]),
)


def index(*platforms: Platform | None) -> bytes:
    manifests = [
        {"mediaType": "t", "digest": str(number), "size": 1}
        | ({"platform": {"os": p.os, "architecture": p.architecture, "variant": p.variant}} if p else {})
        for number, p in enumerate(platforms)
    ]
    return json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()


@given(st.lists(KINDS, max_size=6), KINDS)
def test_what_is_chosen_runs_on_the_machine(offered: list[Platform], wanted: Platform):
    chosen = choose(index(*offered), wanted)
    fitting = [one for one in offered if one.meant == wanted.meant]
    if fitting:
        assert chosen
        assert offered[int(chosen.digest)] == fitting[0]
    elif chosen:
        found = offered[int(chosen.digest)]
        assert (found.os, found.architecture, found.variant) == (wanted.os, wanted.architecture, "")


@pytest.mark.parametrize(
    ("offered", "wanted", "number"),
    [
        (["linux/amd64", "linux/arm64/v8"], "linux/arm64", "1"),
        (["linux/arm64"], "linux/arm64/v8", "0"),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm", "1"),
        (["linux/amd64", "linux/amd64/v3"], "linux/amd64/v3", "1"),
        (["linux/amd64"], "linux/amd64/v3", "0"),
        (["unknown/unknown", "linux/amd64"], "linux/amd64", "1"),
        (["linux/amd64/v3"], "linux/amd64", None),
        ([], "linux/amd64", None),
    ],
)
def test_a_variant_is_meant_where_none_is_named(offered: list[str], wanted: str, number: str | None):
    chosen = choose(index(*map(parse_platform, offered)), parse_platform(wanted))
    assert (chosen and chosen.digest) == number


def test_a_manifest_without_a_platform_is_for_nobody():
    assert choose(index(None), Platform("linux", "amd64")) is None


@given(KINDS)
def test_a_platform_is_read_as_it_is_written(platform: Platform):
    assert parse_platform(str(platform)) == platform


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux/arm/v7/x"])
def test_what_is_no_platform_is_refused(text: str):
    with pytest.raises(ValueError, match="no platform"):
        parse_platform(text)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"manifests": 1}', b'{"manifests": [{}]}'])
def test_what_is_no_index_is_refused(content: bytes):
    with pytest.raises(ValueError, match=r".*"):
        list_platforms(content)
