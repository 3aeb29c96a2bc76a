"""A name that passes is a name and nothing more, wherever it is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from posixpath import normpath
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import UserError
from modelyard_registry.names import check_reference, check_repository, check_tag

WORDS = st.text(alphabet="abA09._-/:%?#@\\ \n\u0660\u00df", max_size=12)
PARTS = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*", fullmatch=True)
REPOSITORIES = WORDS | st.lists(PARTS, min_size=1, max_size=4).map("/".join)
DIGESTS = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)
REFERENCES = WORDS | DIGESTS | st.from_regex(r"\w[\w.-]{0,20}", fullmatch=True)


def passes(check: Callable[[str], None], text: str) -> bool:
    with suppress(UserError):
        check(text)
        return True
    return False


@given(REPOSITORIES, REFERENCES)
def test_no_name_changes_the_address_around_it(repository: str, reference: str):
    if passes(check_repository, repository) and passes(check_reference, reference):
        path = f"/v2/{repository}/manifests/{reference}"
        parts = urlsplit(f"https://registry.example{path}")
        assert (parts.path, parts.query, parts.fragment) == (path, "", "")
        assert normpath(path) == path == quote(path, safe="/:")


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True))
def test_every_tag_of_the_specification_passes(tag: str):
    assert passes(check_tag, tag)
    assert passes(check_reference, tag)


@pytest.mark.parametrize("tag", ["", ".", "-a", "a/b", "a:b", "a" * 129, "a\n", "\u00e4"])
def test_nothing_else_does(tag: str):
    assert not passes(check_tag, tag)
