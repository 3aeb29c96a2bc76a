"""Changing files that have other names elsewhere, which stay as they are."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from modelyard.environments.rewriting import change_mode, rewrite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_bytes(b"old")
    made.chmod(0o600)
    return made


@pytest.fixture
def elsewhere(file: Path) -> Path:
    other = file.with_name("elsewhere")
    other.hardlink_to(file)
    return other


def change(file: Path, mode: int) -> None:
    change_mode(file, file.lstat(), mode)


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_rewritten_file_is_another_file(file: Path, elsewhere: Path):
    rewrite(file, b"new", mode=0o755)
    assert (file.read_bytes(), mode_of(file)) == (b"new", 0o755)
    assert (elsewhere.read_bytes(), mode_of(elsewhere)) == (b"old", 0o600)


def test_what_is_not_there_is_written(tmp_path: Path):
    rewrite(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert mode_of(tmp_path / "file") == 0o644


def test_the_mode_of_a_file_with_another_name_is_changed_here_alone(file: Path, elsewhere: Path):
    change(file, 0o644)
    assert (file.read_bytes(), mode_of(file)) == (b"old", 0o644)
    assert mode_of(elsewhere) == 0o600


def test_a_file_of_one_name_stays_the_same_file(file: Path):
    before = file.stat().st_ino
    change(file, 0o644)
    assert (file.stat().st_ino, mode_of(file)) == (before, 0o644)


def test_a_file_that_has_its_mode_stays_shared(file: Path, elsewhere: Path):
    change(file, 0o600)
    assert file.samefile(elsewhere)


def test_nothing_is_left_beside_it(file: Path, elsewhere: Path):
    rewrite(file, b"new")
    change(file, 0o755)
    assert sorted(file.parent.iterdir()) == sorted([file, elsewhere])
