"""Prefixes: scripts, links and RECORDs that hold where the tree will be."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from modelyard.api import SystemError_
from modelyard.environments.bases import Place
from modelyard.environments.checking import _CHUNK_BYTES, check_tree
from modelyard.environments.installed import overlaps
from modelyard.environments.prefixes import leads_astray, moved, pyvenv_cfg, shebang

from .test_bases import BASE, PREFIX

PLACE = Place(PREFIX, BASE)
OLD, NEW = PurePosixPath("/usr/bin/python3"), PurePosixPath("/opt/env/bin/python")
FAR = PurePosixPath("/" + "f" * 130)


@pytest.mark.parametrize(
    ("script", "becomes"),
    [
        (b"#!/usr/bin/python3\nimport x\n", b"#!/opt/env/bin/python\nimport x\n"),
        (b"#!/usr/bin/python3 -E\n", b"#!/opt/env/bin/python -E\n"),
        (b"#!/usr/bin/python3", b"#!/opt/env/bin/python"),
        (b"#!/usr/bin/python3.11\n", b"#!/usr/bin/python3.11\n"),
        (b"#!/bin/sh\necho\n", b"#!/bin/sh\necho\n"),
        (b"#!/usr/bin/env python3\n", b"#!/usr/bin/env python3\n"),
        (b"\x7fELF", b"\x7fELF"),
    ],
)
def test_only_the_installers_own_shebang_moves(script: bytes, becomes: bytes):
    assert moved(script, old=OLD, new=NEW) == becomes


def test_a_shebang_too_long_for_the_kernel_goes_through_the_shell_and_back():
    short, long = shebang(NEW) + b"\nx\n", shebang(FAR) + b"\nx\n"
    assert long.startswith(b"#!/bin/sh\n'''exec' '/fff")
    assert moved(short, old=NEW, new=FAR) == long
    assert moved(long, old=FAR, new=NEW) == short


def test_the_configuration_names_the_base_alone():
    assert pyvenv_cfg(PLACE) == (
        "home = /usr/local/bin\ninclude-system-site-packages = false\nversion = 3.11.9\n"
    )


@pytest.mark.parametrize(
    ("at", "target", "astray"),
    [
        ("bin/python", "/usr/local/bin/python3.11", False),
        ("bin/python3", "python", False),
        ("lib64", "lib", False),
        ("share/a", "/opt/env/lib", False),
        ("share/a", "/usr/local/bin/python3.11", True),
        ("bin/python", "/usr/bin/python3.11", True),
        ("share/a", "../../elsewhere", True),
        ("share/a", "../bin/../../env2", True),
    ],
)
def test_links_stay_inside_or_name_the_bases_python(at: str, target: str, astray: bool):  # noqa: FBT001  a column
    assert leads_astray(PurePosixPath(at), target, PLACE) is astray


@pytest.mark.parametrize(
    ("at", "content", "says"),
    [
        ("lib/a.pyc", b"\0" * 50 + b"/tmp/.laying-x-1/tree/lib/a.py", "lib/a.pyc names /tmp/.laying-x-1"),
        ("lib/b.so", b"\0" * (_CHUNK_BYTES - 5) + b".laying-x-1", "lib/b.so names"),
        ("bin/c", b"#!/usr/bin/python3\n", "bin/c is run by /usr/bin/python3"),
    ],
)
def test_a_file_that_leads_back_to_this_machine_is_found(tmp_path: Path, at: str, content: bytes, says: str):
    (tmp_path / at).parent.mkdir()
    (tmp_path / at).write_bytes(content)
    with pytest.raises(SystemError_, match=says):
        check(tmp_path)


def test_a_link_out_of_the_tree_is_found(tmp_path: Path):
    (tmp_path / "etc").symlink_to("/etc")
    with pytest.raises(SystemError_, match="etc is a link to /etc"):
        check(tmp_path)


def test_what_names_nothing_of_this_machine_passes(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(BASE.path)
    (tmp_path / "bin/x").write_bytes(b"#!/opt/env/bin/python\n")
    (tmp_path / "bin/y").write_bytes(b"#!/usr/bin/python3-config\n")
    check(tmp_path)


def check(tree: Path) -> None:
    check_tree(tree, PLACE, built_in=Path("/tmp/.laying-x-1"), built_by=Path(OLD))  # noqa: S108  never opened


def test_packages_overlap_where_a_file_differs_or_cannot_be_told():
    brought = {
        "one": [("tests/__init__.py", "sha256=a", "1"), ("same.py", "sha256=s", "1"), ("one.py", "", "")],
        "two": [("tests/__init__.py", "sha256=b", "1"), ("same.py", "sha256=s", "1")],
        "three": [("unhashed.py", "", "")],
        "four": [("unhashed.py", "", ""), ("same.py", "sha256=s", "1")],
    }
    assert overlaps(brought) == ["four", "one", "three", "two"]
    assert overlaps({name: brought[name] for name in ("one", "four")}) == []
