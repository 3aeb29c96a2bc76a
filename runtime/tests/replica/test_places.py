"""Where a container's replica writes, for a user who has nothing."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelyard_runtime.contract import StartContract, read_contract
from modelyard_runtime.replica.places import LONGEST_FOLDER, CannotBegin, settle


def contract(run_dir: str) -> StartContract:
    return StartContract(
        service="s", revision=1, replica="r", run_dir=run_dir, log_dir="", code_dir="/c", entry="score.py"
    )


@pytest.fixture
def short() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="my-", dir="/tmp") as folder:
        yield folder


def test_a_folder_that_is_missing_is_made_and_private(short: str):
    run_dir = f"{short}/a/run"
    start_file = settle(contract(run_dir), {"HOME": short})
    assert stat.S_IMODE(Path(run_dir).stat().st_mode) == 0o700
    assert read_contract(start_file) == contract(run_dir)
    assert stat.S_IMODE(start_file.stat().st_mode) == 0o600


def test_a_folder_of_ours_that_others_may_enter_is_closed_to_them(short: str):
    Path(short).chmod(0o755)
    settle(contract(short), {"HOME": short})
    assert stat.S_IMODE(Path(short).stat().st_mode) == 0o700


def test_a_home_and_a_temporary_folder_that_work_stay(short: str):
    environ = {"HOME": short, "TMPDIR": short, "USER": "me"}
    settle(contract(short), environ)
    assert environ == {"HOME": short, "TMPDIR": short, "USER": "me"}


@pytest.mark.parametrize("missing", [{}, {"HOME": ""}, {"HOME": "/no/such/home"}])
def test_without_a_home_there_is_one_in_the_run_folder(short: str, missing: dict[str, str]):
    environ = dict(missing)
    settle(contract(short), environ)
    assert environ["HOME"] == f"{short}/home"
    assert stat.S_IMODE(Path(environ["HOME"]).stat().st_mode) == 0o700


def test_a_temporary_folder_that_does_not_work_is_replaced(short: str):
    environ = {"HOME": short, "TMPDIR": "/no/such/folder"}
    settle(contract(short), environ)
    assert environ["TMPDIR"] == str(Path(short) / "tmp")
    assert Path(environ["TMPDIR"]).is_dir()


def test_a_user_whom_nobody_knows_has_at_least_a_name(short: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "getuid", lambda: 1_234_567)
    environ = {"HOME": short}
    settle(contract(short), environ)
    assert environ["USER"] == "1234567"


def test_a_folder_that_cannot_be_written_to_is_named(short: str):
    (Path(short) / "file").touch()
    with pytest.raises(
        CannotBegin, match=rf"run_dir {short}/file/run cannot be written to .* mount a folder"
    ):
        settle(contract(f"{short}/file/run"), {})


@pytest.mark.parametrize("folder", ["run", "/" + "r" * LONGEST_FOLDER])
def test_a_folder_that_no_socket_can_lie_in_is_refused(folder: str):
    with pytest.raises(CannotBegin, match="it must be absolute and 80 characters long at most"):
        settle(contract(folder), {})
