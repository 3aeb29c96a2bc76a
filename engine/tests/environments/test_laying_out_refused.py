"""Laying out what cannot be: the cause is told, and nothing half made is ever to be seen."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path, PurePosixPath

import attrs
import pytest
from modelyard.api import BasePython, Conflict, EnvironmentUnsolvable, SystemError_
from modelyard.environments import Interpreter, laying_out
from modelyard.environments.bases import Place
from modelyard.environments.compiling import compile_tree

from .conftest import LayOut, write_wheel
from .test_laying_out import snapshot


@pytest.mark.parametrize("tag", ["manylinux_2_31_x86_64", "manylinux_2_39_aarch64", "macosx_11_0_arm64"])
def test_a_lock_without_wheels_for_the_base_is_refused(
    lay: LayOut, index: Path, tmp_path: Path, arm: BasePython, tag: str
):
    wheel = write_wheel(index, "native", "1.0", tag=f"{arm.abi}-{arm.abi}-{tag}")
    with pytest.raises(
        EnvironmentUnsolvable, match=r"does not fit Python .* aarch64 .*native==1\.0"
    ) as caught:
        lay(wheel, python=arm)
    assert "solve the environment for this base" in caught.value.remedy
    assert left(tmp_path) == []


def test_a_package_for_a_newer_python_is_refused(lay: LayOut, index: Path, tmp_path: Path):
    needs = "Metadata-Version: 2.1\nName: modern\nVersion: 1.0\nRequires-Python: >=3.99\n"
    wheel = write_wheel(index, "modern", "1.0", more={"INFO.dist-info/METADATA": needs})
    with pytest.raises(EnvironmentUnsolvable, match=r"does not fit Python 3\..*3\.99"):
        lay(wheel)
    assert left(tmp_path) == []


def test_a_package_that_was_replaced_is_refused(lay: LayOut, tooly: Path, tmp_path: Path):
    locked = tmp_path / tooly.name
    locked.write_bytes(tooly.read_bytes() + b"\0")
    with pytest.raises(EnvironmentUnsolvable, match="not the one that was locked"):
        lay(locked)
    assert left(tmp_path) == []


def test_without_a_python_to_compile_with_nothing_is_laid_out(
    lay: LayOut, tooly: Path, arm: BasePython, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def missing(version: str, *, serving: bool) -> Interpreter:
        assert (version, serving) == (arm.minor, False)
        raise EnvironmentUnsolvable("it is not installed")

    monkeypatch.setattr(laying_out, "find_interpreter", missing)
    with pytest.raises(EnvironmentUnsolvable, match=r"nothing here compiles for Python .*: it is not inst"):
        lay(tooly, python=arm)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("Segmentation fault", r"Python 3\..* could not compile the environment: Segmentation fault"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
    ],
)
def test_a_python_that_fails_to_compile_is_named(
    lay: LayOut, tmp_path: Path, base: BasePython, interpreter: Interpreter, words: str, says: str
):
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\necho '{words}'\nexit 1\n")
    fake.chmod(0o755)
    place = Place(PurePosixPath("/env"), base)
    with pytest.raises(SystemError_, match=says):
        asyncio.run(compile_tree(lay(), place, attrs.evolve(interpreter, path=fake), None))


def test_a_full_disk_is_told_and_nothing_is_left(
    lay: LayOut, tooly: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(laying_out, "settle", full)
    with pytest.raises(SystemError_, match="the disk is full"):
        lay(tooly)
    assert left(tmp_path) == []


def test_a_tree_that_still_leads_to_this_machine_is_not_shown(
    lay: LayOut, tooly: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(laying_out, "settle", lambda *_: None)
    with pytest.raises(SystemError_, match=r"bin/tooly(-old)? is run by"):
        lay(tooly)
    assert left(tmp_path) == []


def test_a_second_run_replaces_the_tree_and_sweeps_what_a_killed_one_left(
    lay: LayOut, tooly: Path, index: Path, tmp_path: Path
):
    before = snapshot(lay(tooly))
    mine, others = tmp_path / "work/.laying-tree-abcd", tmp_path / "work/.laying-tree-two-abcd"
    for folder in (mine, others):
        folder.mkdir()
    lay(index / "mathy-1.0-py3-none-any.whl")
    assert snapshot(lay(tooly)) == before
    assert left(tmp_path) == [others.name, "tree"]


def test_what_somebody_else_put_there_stays(lay: LayOut, tooly: Path, tmp_path: Path):
    theirs = tmp_path / "work/tree/thesis.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("years of work")
    with pytest.raises(Conflict, match="something else than an environment"):
        lay(tooly)
    assert theirs.read_text() == "years of work"


def left(tmp_path: Path) -> list[str]:
    names = (one.name for one in (tmp_path / "work").glob("*")) if (tmp_path / "work").is_dir() else ()
    return sorted(name for name in names if not name.endswith(".lock"))
