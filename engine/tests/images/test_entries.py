"""Which names and links may lie in an image."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import ImageUnbuildable
from modelyard.images.entries import Entry, File, Folder, Link, check_links, check_place, complete


def file(place: str) -> File:
    return File(place, Path("/") / place, 1, executable=False, identity=(1, hash(place)))


@pytest.mark.parametrize(
    "place",
    [
        "",
        "/etc/passwd",
        "../outside",
        "opt/../../etc",
        "opt//env",
        "opt/./env",
        "opt/",
        "opt/.wh.env",
        ".wh..wh..opq",
        "opt/.wh.env/file",
        "opt/a\0b",
        "opt/\udcff",
    ],
)
def test_a_name_that_is_no_plain_path_below_the_root_is_refused(place: str):
    with pytest.raises(ImageUnbuildable) as caught:
        check_place(place)
    assert caught.value.remedy
    assert caught.value.place.isprintable()


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", ".wh.a", "ä"]), max_size=5).map("/".join))
def test_an_accepted_name_stays_below_the_root(place: str):
    try:
        check_place(place)
    except ImageUnbuildable:
        return
    parts = place.split("/")
    assert Path("/", place).resolve().parts[1:] == tuple(parts)
    assert not any(part.startswith(".wh.") for part in parts)


def test_folders_come_before_what_they_hold_and_are_there_though_nobody_named_them():
    found = complete([file("opt/env/b"), file("opt/env-old"), file("opt/env/a")])
    places = [entry.place for entry in found]
    assert places == ["opt", "opt/env", "opt/env-old", "opt/env/a", "opt/env/b"]
    assert [type(entry) for entry in found] == [Folder, Folder, File, File, File]


def test_two_things_at_one_place_are_refused():
    with pytest.raises(ImageUnbuildable, match="two things claim this place"):
        complete([file("opt/model"), Folder("opt/model")])


def test_what_lies_below_a_file_is_refused():
    with pytest.raises(ImageUnbuildable, match="it is no folder"):
        complete([file("opt/model"), file("opt/model/weights")])


def tree(*links: tuple[str, str]) -> tuple[Entry, ...]:
    given = (Folder("opt/env/lib"), file("opt/env/lib/real"), file("opt/env/top"), file("opt/other"))
    return complete([*given, *(Link(f"opt/env/{place}", target) for place, target in links)])


@pytest.mark.parametrize(
    "links",
    [
        [("a", "top")],
        [("a", "lib/real"), ("lib/up", "../top")],
        [("lib64", "lib"), ("a", "lib64/real"), ("b", "lib64/../top")],
        [("a", "/opt/env/lib/real")],
        [("lib/a", "..")],
        [("a", "b"), ("b", "c"), ("c", "./lib//real")],
    ],
)
def test_links_that_stay_inside_are_kept(links: list[tuple[str, str]]):
    check_links(tree(*links), "opt/env")


@pytest.mark.parametrize(("length", "kept"), [(40, True), (41, False)])
def test_as_many_links_in_a_row_are_kept_as_the_kernel_follows(length: int, *, kept: bool):
    chain = [(f"link{number}", f"link{number + 1}") for number in range(1, length)]
    entries = tree(*chain, (f"link{length}", "top"))
    with nullcontext() if kept else pytest.raises(ImageUnbuildable, match="goes round"):
        check_links(entries, "opt/env")


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ([("a", "/etc/passwd")], "leaves the folder"),
        ([("a", "/opt/environment/lib")], "leaves the folder"),
        ([("a", "../other")], "leaves the folder"),
        ([("a", "../env/top")], "leaves the folder"),
        ([("deep", "lib"), ("a", "deep/../../other")], "leaves the folder"),
        ([("a", "absent")], "leads nowhere"),
        ([("a", "lib/real/more")], "leads nowhere"),
        ([("a", "lib/real/../real")], "leads nowhere"),
        ([("a", "b"), ("b", "a")], "goes round in circles"),
        ([("a", "a")], "goes round in circles"),
    ],
)
def test_links_that_leave_lead_nowhere_or_go_round_are_refused_by_name(
    links: list[tuple[str, str]], message: str
):
    with pytest.raises(ImageUnbuildable, match=message) as caught:
        check_links(tree(*links), "opt/env")
    assert caught.value.place in {f"opt/env/{place}" for place, _ in links}
    assert caught.value.remedy
