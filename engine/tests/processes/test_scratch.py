"""Folders for work in progress: nobody else's are touched, and those of the dead do not stay."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from modelyard.processes import scratch

DIES = """
import os, signal, sys
from pathlib import Path
from modelyard.processes import scratch
with scratch(Path(sys.argv[1]), "work") as folder:
    (folder / "half").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_is_empty_and_gone_afterwards(tmp_path: Path):
    with scratch(tmp_path / "new" / "below", "work") as folder:
        assert list(folder.iterdir()) == []
        (folder / "file").touch()
    assert list((tmp_path / "new" / "below").iterdir()) == []


def test_it_is_gone_after_an_error_too(tmp_path: Path):
    with pytest.raises(ValueError, match="wrong"), scratch(tmp_path, "work"):
        raise ValueError("wrong")
    assert list(tmp_path.iterdir()) == []


def test_several_at_once_leave_each_other_alone(tmp_path: Path):
    with scratch(tmp_path, "work") as one, scratch(tmp_path, "work") as other:
        assert one != other
        assert one.is_dir()


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path):
    died = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with scratch(tmp_path, "other"):
        assert left.exists()
    with scratch(tmp_path, "work") as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_a_link_of_that_name_is_not_followed(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (tmp_path / "work-link").symlink_to(elsewhere)
    with scratch(tmp_path, "work"):
        assert [one.name for one in elsewhere.iterdir()] == ["precious"]
