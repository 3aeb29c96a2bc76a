"""Logs: the last lines over rotated files, new ones across rotation, old ones pruned."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.targets.logs import KEPT_PER_SERVICE, LOG_FILE, follow_log, last_line, prune, tail

TEXT = st.lists(st.text("ab c", max_size=5), max_size=8)


@given(parts=st.lists(TEXT, min_size=1, max_size=4), wanted=st.integers(0, 12))
def test_the_tail_is_the_end_of_all_files_in_order(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[str]], wanted: int
):
    folder = tmp_path_factory.mktemp("log")
    names = [f"{LOG_FILE}.{i}" for i in range(len(parts) - 1, 0, -1)] + [LOG_FILE]
    for name, lines in zip(names, parts, strict=True):
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    everything = [line for lines in parts for line in lines]
    assert tail(folder, wanted) == (everything[-wanted:] if wanted else [])


def test_following_sees_every_line_across_a_rotation(tmp_path: Path):
    log = tmp_path / LOG_FILE
    log.write_text("old\n")
    ended: list[bool] = []

    async def case() -> list[str]:
        lines = []
        async for line in follow_log(tmp_path, lines=10, over=lambda: bool(ended)):
            lines.append(line)
            if line == "old":
                with log.open("a") as file:
                    file.write("a\nhalf")
            elif line == "a":
                with log.open("a") as file:
                    file.write("-done\n")
                log.rename(tmp_path / f"{LOG_FILE}.1")
                log.write_text("new\nunfinished")
            elif line == "new":
                ended.append(True)
        return lines

    assert asyncio.run(case()) == ["old", "a", "half-done", "new", "unfinished"]


def test_following_waits_for_a_log_that_is_not_there_yet(tmp_path: Path):
    ended: list[bool] = []

    async def read() -> list[str]:
        lines = []
        async for line in follow_log(tmp_path, lines=10, over=lambda: bool(ended)):
            lines.append(line)
            ended.append(True)
        return lines

    async def case() -> list[str]:
        reader = asyncio.create_task(read())
        await asyncio.sleep(0)
        (tmp_path / LOG_FILE).write_text("first\n")
        async with asyncio.timeout(10):
            return await reader

    assert asyncio.run(case()) == ["first"]


def test_only_the_newest_logs_of_the_service_are_kept_and_living_ones_always(tmp_path: Path):
    for age in range(KEPT_PER_SERVICE + 5):
        folder = tmp_path / f"digits-r1-{age:06d}"
        folder.mkdir()
        os.utime(folder, (1e9 - age, 1e9 - age))
    (tmp_path / "other-r1-000000").mkdir()
    oldest = f"digits-r1-{KEPT_PER_SERVICE + 4:06d}"
    prune(tmp_path, "digits-r1-000000", frozenset({oldest}))
    kept = {folder.name for folder in tmp_path.iterdir()}
    assert kept == {f"digits-r1-{age:06d}" for age in range(KEPT_PER_SERVICE)} | {oldest, "other-r1-000000"}


def test_the_last_line_skips_blank_ones_and_missing_files(tmp_path: Path):
    (tmp_path / "log").write_text("Traceback\nValueError: no\n\n")
    assert last_line(tmp_path / "log") == "ValueError: no"
    assert last_line(tmp_path / "none") == ""
