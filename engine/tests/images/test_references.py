"""What people call an image is read into a registry, a repository and a tag or digest."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import ImageUnbuildable
from modelyard.images import Reference, locate, parse_reference
from modelyard.testing import InMemoryRegistry

DIGEST = f"sha256:{'a' * 64}"


@attrs.define
class Server(InMemoryRegistry):
    """A registry that other tools reach at `prefix`."""

    prefix: str = "registry.example"

    def address(self, repository: str) -> str:
        return f"{self.prefix}/{repository}"


FOLDER = InMemoryRegistry("oci-layout")
COMPANY = Server("company")
TEAM = Server("team", prefix="registry.example/team")
DAEMON = InMemoryRegistry("docker-daemon")
ALL = {one.name: one for one in (FOLDER, COMPANY, TEAM, DAEMON)}


@pytest.mark.parametrize(
    ("text", "name", "tag", "digest"),
    [
        ("python", "python", "", ""),
        ("python:3.11-slim", "python", "3.11-slim", ""),
        ("host:5000/team/base", "host:5000/team/base", "", ""),
        ("host:5000/team/base:1", "host:5000/team/base", "1", ""),
        (f"team/base@{DIGEST}", "team/base", "", DIGEST),
        (f"team/base:1@{DIGEST}", "team/base", "1", DIGEST),
    ],
)
def test_a_reference_has_a_name_a_tag_and_a_digest(text: str, name: str, tag: str, digest: str):
    parsed = parse_reference(text)
    assert parsed == Reference(name, tag, digest)
    assert str(parsed) == text


def test_the_digest_counts_where_both_are_given():
    assert parse_reference(f"base:1@{DIGEST}").pointer == DIGEST
    assert parse_reference("base:1").pointer == "1"
    assert parse_reference("base").pointer == "latest"


@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "../etc", "a//b", "a@sha256:12", "UPPER/Case/X", "a:b:c d", "-x", "a\n", "a/../b"],
)
def test_what_is_no_image_is_refused(text: str):
    with pytest.raises(ImageUnbuildable, match="is no image"):
        parse_reference(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str):
    try:
        parsed = parse_reference(text)
    except ImageUnbuildable:
        return
    assert str(parsed) == text


@pytest.mark.parametrize(
    ("text", "record", "repository"),
    [
        ("oci-layout/bases/python:3", FOLDER, "bases/python"),
        ("registry.example/other/base:3", COMPANY, "other/base"),
        ("registry.example/team/base:3", TEAM, "base"),
        ("python:3.11", DAEMON, "python"),
        ("elsewhere.example/base", DAEMON, "elsewhere.example/base"),
    ],
)
def test_the_registry_is_the_one_that_the_name_begins_with(
    text: str, record: InMemoryRegistry, repository: str
):
    located = locate(parse_reference(text), ALL)
    assert located.registry is record
    assert located.repository == repository


def test_a_registry_that_nobody_knows_is_named_with_what_to_do():
    with pytest.raises(ImageUnbuildable, match="no registry is known that has python:3") as raised:
        locate(parse_reference("python:3"), {"oci-layout": FOLDER})
    assert "registries.toml" in raised.value.remedy
