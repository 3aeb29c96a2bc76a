"""The links of an image are followed as its kernel would, whatever its layers hide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import ImageUnbuildable
from modelyard.images import contents as module
from modelyard.images.contents import Contents, Traits, cleaned

NAMES = st.text("ab", min_size=1, max_size=2)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.lists(NAMES | st.just(".."), min_size=1, max_size=4).map("/".join) | PATHS.map(
    lambda one: f"/{one}"
)
FOUND = Traits(pythons=("3.11.7",))


def holding(**links: str) -> Contents:
    contents = Contents()
    for path, target in links.items():
        contents.add_link(path.replace("__", "/"), target)
    return contents


def test_a_link_in_the_middle_of_a_path_is_followed():
    assert holding(bin="usr/bin").resolve("/bin/python3") == "usr/bin/python3"


def test_an_absolute_link_begins_at_the_root():
    assert holding(opt__py="/usr/local").resolve("opt/py/bin") == "usr/local/bin"


def test_a_link_may_climb_but_not_above_the_root():
    assert holding(a__b="../../../c").resolve("a/b/d") == "c/d"


def test_links_lead_to_links():
    contents = holding(usr__bin__python3="python3.11", bin="usr/bin")
    assert contents.resolve("bin/python3") == "usr/bin/python3.11"


@given(st.dictionaries(PATHS, TARGETS, max_size=6), PATHS)
def test_links_that_go_round_end_somewhere(links: dict[str, str], path: str):
    contents = Contents()
    for at, target in links.items():
        contents.add_link(at, target)
    assert not contents.resolve(path).startswith("/")


def test_a_file_hides_the_link_that_was_at_its_path():
    contents = holding(a="b")
    contents.add_file("a", FOUND)
    assert contents.resolve("a") == "a"
    assert contents.traits("a") == FOUND


def test_a_file_that_was_not_looked_into_hides_one_that_was():
    contents = Contents()
    contents.add_file("a", FOUND)
    contents.add_file("a", None)
    assert contents.traits("a") is None


def test_a_hard_link_is_another_name_of_its_file():
    contents = Contents()
    contents.add_file("a", FOUND)
    contents.add_hard_link("b", "a")
    assert contents.traits("b") == FOUND


def test_hiding_a_folder_hides_what_is_below_and_nothing_beside():
    contents = holding(a__x="1", ab="2", a="3")
    contents.hide("a")
    assert contents.links == {"ab": "2"}


def test_an_opaque_folder_stays_and_its_content_goes():
    contents = holding(a__x="1", a="3")
    contents.hide("a", below_only=True)
    assert contents.links == {"a": "3"}


def test_an_image_of_more_links_than_anybody_needs_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_NAMES", 2)
    contents = holding(a="1", b="2")
    with pytest.raises(ImageUnbuildable, match="more than 2 links"):
        contents.add_link("c", "3")


@pytest.mark.parametrize("name", ["usr/bin", "./usr/bin", "/usr/bin/", "usr//bin", "../usr/x/../bin"])
def test_the_names_of_a_tar_are_written_one_way(name: str):
    assert cleaned(name) == "usr/bin"
