"""Atomic writes, disk space, memory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import SystemError_
from modelyard.processes import disk_errors, free_bytes, resident_bytes, write_atomic


@given(contents=st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_the_last_write_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]):
    folder = tmp_path_factory.mktemp("atomic")
    for content in contents:
        write_atomic(folder / "file", content)
    assert (folder / "file").read_bytes() == contents[-1]
    assert [entry.name for entry in folder.iterdir()] == ["file"]


def test_files_are_private_unless_asked_otherwise(tmp_path: Path):
    write_atomic(tmp_path / "private", b"")
    write_atomic(tmp_path / "open", b"", mode=0o644)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "file"
    write_atomic(target, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(handle))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemError_, match=r"the disk is full: \d+ bytes are free"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_can_be_made_again_replaces_a_file_without_waiting_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def waits(handle: int) -> None:
        pytest.fail(f"waited for {handle}")

    write_atomic(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", waits)
    write_atomic(tmp_path / "file", b"new", is_lasting=False)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EDQUOT, "the disk is full"), (errno.EROFS, "cannot write"), (errno.EACCES, "cannot write")],
)
def test_disk_errors_name_the_path_and_the_remedy(tmp_path: Path, number: int, says: str):
    with pytest.raises(SystemError_, match=says) as caught, disk_errors(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert caught.value.place == str(tmp_path / "x")
    assert caught.value.remedy


def test_other_errors_pass_untouched(tmp_path: Path):
    with pytest.raises(IsADirectoryError), disk_errors(tmp_path):
        raise IsADirectoryError(errno.EISDIR, "is a directory")


def test_free_space_is_told_for_a_path_that_is_not_there_yet(tmp_path: Path):
    assert free_bytes(tmp_path / "a" / "b") > 0


def test_resident_memory_is_told_for_a_living_process_and_zero_for_none():
    assert resident_bytes(os.getpid()) > 1_000_000
    assert resident_bytes(2**22 + 1) == 0
