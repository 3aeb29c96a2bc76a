"""Packages are solved for the Python of a base, which need not be on this machine, and only once."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest
from modelyard.api import BasePython, EnvironmentUnsolvable
from modelyard.environments import Asked, for_bases, recorded_lock, solve_for_base
from modelyard.processes import find_home

ARM = BasePython(PurePosixPath("/usr/bin/python3.12"), "3.12.1", "cp312", "glibc-2.36", "aarch64", True)
PIN = f"numpy==2.0 \\\n    --hash=sha256:{'a' * 64}\n"


@attrs.define
class Records:
    texts: dict[str, str] = attrs.field(factory=dict)

    async def load(self, spec_key: str) -> str | None:
        return self.texts.get(spec_key)

    async def save(self, spec_key: str, text: str) -> None:
        self.texts[spec_key] = text


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    asked: list[tuple[str, ...]] = []

    async def compile_lock(requirements: Any, python: Any, **more: Any) -> str:
        del more
        assert requirements == Asked(("numpy",))
        asked.append(python.options)
        return f"# by a tool\n{PIN}"

    monkeypatch.setattr(for_bases, "compile_lock", compile_lock)
    return asked


def solve(records: Records, tmp_path: Path, **more: Any) -> str:
    home = find_home({"MODELYARD_HOME": str(tmp_path)})
    return asyncio.run(
        solve_for_base(Asked(("numpy",)), ARM, key="k", runtime=None, home=home, records=records, **more)
    )


def test_it_is_solved_for_the_bases_release_processor_and_glibc(
    compiled: list[tuple[str, ...]], tmp_path: Path
):
    assert solve(Records(), tmp_path) == PIN
    (options,) = compiled
    assert options[-4:] == ("--python-version", "3.12.1", "--python-platform", "aarch64-manylinux_2_36")


def test_what_was_solved_is_recorded_and_not_solved_again(compiled: list[tuple[str, ...]], tmp_path: Path):
    records = Records()
    assert solve(records, tmp_path) == solve(records, tmp_path)
    assert len(compiled) == 1
    assert records.texts == {"k": PIN}


def test_refreshing_solves_what_is_recorded(compiled: list[tuple[str, ...]], tmp_path: Path):
    solve(Records({"k": PIN}), tmp_path, refresh=True)
    assert len(compiled) == 1


def test_frozen_takes_what_is_recorded_and_solves_nothing(compiled: list[tuple[str, ...]], tmp_path: Path):
    assert solve(Records({"k": PIN}), tmp_path, frozen=True) == PIN
    with pytest.raises(EnvironmentUnsolvable, match="no lock is stored") as raised:
        solve(Records(), tmp_path, frozen=True)
    assert "engine images lock" in raised.value.remedy
    assert compiled == []


def test_a_damaged_record_is_told_and_counts_as_none():
    told: list[str] = []
    assert asyncio.run(recorded_lock("k", Records({"k": "numpy"}), told.append)) is None
    assert "damaged" in told[0]
