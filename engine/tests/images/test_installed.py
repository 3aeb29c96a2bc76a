"""What an image's package databases say is read off its layers, and what is hidden or unreadable is not claimed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.images import Repository, facts_of, find_base, scanning
from modelyard.images.contents import Contents, Traits
from modelyard.images.installed import InstalledPackage, Inventory, find_installed
from modelyard.testing import InMemoryRegistry

from engine.tests.images.layering import DPKG, Link, layer, put_image, to
from engine.tests.images.making import AMD64, BASES

Members = Mapping[str, bytes | Link | None]
LIBFOO = InstalledPackage("deb", "libfoo", "1.2-3", "amd64", "debian", "12")


def look(folder: Path, *layers: Members) -> Inventory:
    async def case() -> Inventory:
        registry = InMemoryRegistry()
        await put_image(registry, [layer(one) for one in layers])
        source = Repository(registry, BASES)
        base = await find_base(source, "3", AMD64)
        first = await facts_of(base, source, AMD64, folder)
        assert await facts_of(base, source, AMD64, folder) == first, "what is remembered is the same"
        return first.installed

    return asyncio.run(case())


def test_of_dpkg_what_is_installed_is_found(tmp_path: Path):
    assert look(tmp_path, DPKG) == Inventory((LIBFOO,))


def test_the_newest_list_counts_and_a_removed_one_does_not(tmp_path: Path):
    newer = b"Package: libbar\nStatus: install ok installed\nVersion: 2\n"
    (package,) = look(tmp_path / "a", DPKG, {"var/lib/dpkg/status": newer}).packages
    assert (package.name, package.architecture, package.release) == ("libbar", "", "12")
    assert look(tmp_path / "b", DPKG, {"var/lib/dpkg/.wh.status": b""}) == Inventory()


def test_images_without_a_shell_have_a_list_for_each_package(tmp_path: Path):
    lists: Members = {"var/lib/dpkg/status.d/tzdata": b"Package: tzdata\nVersion: 2025a\n"}
    assert [one.name for one in look(tmp_path, lists).packages] == ["tzdata"]


def test_of_apk_what_is_listed_is_found(tmp_path: Path):
    alpine: Members = {
        "usr/lib/os-release": b"ID=alpine\nVERSION_ID=3.20.1\n",
        "etc/os-release": to("../usr/lib/os-release"),
        "lib/apk/db/installed": b"C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\n\nP:zlib\nV:1.3-r1\nA:x86_64\n",
    }
    assert look(tmp_path, alpine).packages == (
        InstalledPackage("apk", "musl", "1.2.5-r0", "x86_64", "alpine", "3.20.1"),
        InstalledPackage("apk", "zlib", "1.3-r1", "x86_64", "alpine", "3.20.1"),
    )


@pytest.mark.parametrize(
    ("path", "package"),
    [
        (
            "usr/lib/python3.11/site-packages/Foo_Bar-1.0+cpu.dist-info/METADATA",
            ("pypi", "foo-bar", "1.0+cpu"),
        ),
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info", ("pypi", "six", "1.16.0")),
        ("usr/lib/python3/dist-packages/a-1-py3.11.egg-info/PKG-INFO", ("pypi", "a", "1")),
        ("opt/conda/conda-meta/ca-certificates-2025.1-hbd8a_0.json", ("conda", "ca-certificates", "2025.1")),
    ],
)
def test_python_and_conda_packages_are_known_by_their_names(
    path: str, package: tuple[str, str, str], tmp_path: Path
):
    (found,) = look(tmp_path, {path: b""}).packages
    assert (found.kind, found.name, found.version) == package


def test_what_a_package_carries_along_is_none_of_the_images(tmp_path: Path):
    path = "usr/lib/python3.11/site-packages/setuptools/_vendor/wheel-0.4.dist-info/METADATA"
    assert look(tmp_path, {path: b""}) == Inventory()


def test_a_database_of_rpm_is_named_as_unread(tmp_path: Path):
    assert look(tmp_path, {"var/lib/rpm/rpmdb.sqlite": b"SQLite"}).unread == ("var/lib/rpm/rpmdb.sqlite",)


def test_a_database_that_is_too_long_is_named_as_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scanning, "_MOST_TEXT", 100)
    assert look(tmp_path, DPKG) == Inventory((), ("var/lib/dpkg/status",))


@given(st.binary(max_size=300), st.sampled_from(["var/lib/dpkg/status", "lib/apk/db/installed"]))
def test_whatever_a_database_holds_it_is_read_without_an_error(text: bytes, path: str):
    contents = Contents()
    contents.add_file(path, Traits(text=text))
    found = find_installed(contents)
    assert all(one.name and one.version for one in found.packages)
