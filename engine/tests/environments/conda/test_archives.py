"""What an archive may hold: whatever its names and links say, nothing of it lies or leads outside."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.environments.conda.archives import Member, below_links, wrong_with


@pytest.mark.parametrize(
    "members",
    [
        [Member("bin/python", "python3.11"), Member("lib/libz.so", "libz.so.1"), Member("share/", None)],
        [Member("lib/a/b/c", "../../../share/x")],
        [Member("lib64", "lib"), Member("bin/x", "bin/y", hard=True)],
    ],
)
def test_links_inside_are_right(members: list[Member]):
    assert wrong_with(members, {}) is None
    assert below_links({"one": members}) is None


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (Member("../x"), "would lie outside"),
        (Member("a/../../x"), "would lie outside"),
        (Member("/etc/passwd"), "would lie outside"),
        (Member("a", "/etc"), "leads to '/etc'"),
        (Member("a/b", "../../x"), "leads to '../../x'"),
        (Member("a", "b/../../x"), "leads to 'b/../../x'"),
        (Member("a", "/etc/passwd", hard=True), "leads to '/etc/passwd'"),
        (Member("a/b", "../c", hard=True), "leads to '../c'"),
    ],
)
def test_what_leaves_the_prefix_is_told(member: Member, says: str):
    assert says in str(wrong_with([member], {}))


def test_an_entry_stands_once():
    assert "stands twice" in str(wrong_with([Member("info/paths.json"), Member("info/paths.json")], {}))


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"info/paths.json": json.dumps({"paths": [{"_path": "../../x"}]})}, "'../../x' would lie outside"),
        ({"info/files": "a\n/etc/x\n"}, "'/etc/x' would lie outside"),
        ({"info/link.json": json.dumps({"noarch": {"entry_points": ["../x = a:b"]}})}, "would lie outside"),
        ({"info/paths.json": "{"}, "cannot be read"),
        ({"info/paths.json": "[]"}, "cannot be read"),
        ({"info/link.json": "[]"}, "cannot be read"),
    ],
)
def test_a_packages_own_lists_are_looked_at_too(info: dict[str, str], says: str):
    assert says in str(wrong_with([], {name: text.encode() for name, text in info.items()}))


def test_no_file_is_written_through_a_link_of_another_package():
    held = {"one": [Member("a/b", "../c")], "two": [Member("a/b/c")]}
    assert below_links(held) == "two has a/b/c, but a/b is a link"


parts = st.sampled_from(["a", "b", "c", "..", "."])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
entries = st.builds(Member, paths, st.none() | paths | paths.map("/{}".format))


@given(st.lists(entries, max_size=6))
def test_what_passes_can_be_made_and_leads_nowhere_else(members: list[Member]):
    members = [member for member in members if PurePosixPath(member.name).parts]
    if wrong_with(members, {}) is not None or below_links({"one": members}) is not None:
        return
    with TemporaryDirectory() as name:
        inside = Path(os.path.realpath(name)) / "deep" / "prefix"
        inside.mkdir(parents=True)
        for member in members:
            make(inside / member.name, member.target)
        for path in inside.rglob("*"):
            assert Path(os.path.realpath(path)).is_relative_to(inside), (path, members)


def make(path: Path, target: str | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if target is None:
            path.write_text("")
        else:
            path.symlink_to(target)
    except OSError:
        return  # a name that is a file to one and a folder, or a link to itself, to another
