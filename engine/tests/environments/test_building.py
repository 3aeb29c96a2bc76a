"""Building: once, whole or not at all, and again when damaged."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from modelyard.api import EnvironmentSpec, EnvironmentUnsolvable, SystemError_
from modelyard.environments import Interpreter, Lock, RuntimeWheel, cached, ensure, solve
from modelyard.environments.entries import MARKER, entry_lock, is_whole
from modelyard.environments.steps import failure
from modelyard.processes import Home


@pytest.fixture
def lock(index: Path, home: Home, records: object, interpreter: Interpreter, runtime: RuntimeWheel) -> Lock:
    assert index.is_dir()
    spec = EnvironmentSpec(requirements=("modelish",))
    return asyncio.run(
        solve(spec, home=home, records=records, interpreter=interpreter, runtime=runtime)  # type: ignore[arg-type]
    )


@pytest.fixture
def build(lock: Lock, home: Home, interpreter: Interpreter, runtime: RuntimeWheel) -> Callable[..., Path]:
    def once(lines: list[str] | None = None, of: Lock = lock) -> Path:
        tell = None if lines is None else lines.append
        return asyncio.run(ensure(of, interpreter, home=home, on_line=tell, runtime=runtime))

    return once


def versions(environment: Path) -> str:
    code = "import mathy, modelish, modelyard_runtime as r; print(mathy.VERSION, modelish.VERSION, r.VERSION)"
    argv = [str(environment / "bin/python"), "-I", "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_it_holds_what_was_locked_compiled_and_with_the_runtime(
    build: Callable[..., Path], home: Home, lock: Lock
):
    environment = build()
    assert environment == home.environments / lock.lock_key
    assert versions(environment) == "2.0 3.1 0.1.0"
    assert list(environment.glob("lib/*/site-packages/mathy/__pycache__/*.pyc"))
    assert cached(lock.lock_key, home)


def test_it_still_works_where_it_is_moved(build: Callable[..., Path], tmp_path: Path):
    assert versions(build().rename(tmp_path / "elsewhere")) == "2.0 3.1 0.1.0"


def test_a_second_call_builds_nothing(build: Callable[..., Path]):
    first = build()
    inode = first.stat().st_ino
    lines: list[str] = []
    assert build(lines) == first
    assert (first.stat().st_ino, lines) == (inode, [])


def test_many_callers_build_once(lock: Lock, home: Home, interpreter: Interpreter, runtime: RuntimeWheel):
    lines: list[str] = []

    async def all_at_once() -> set[Path]:
        calls = (
            ensure(lock, interpreter, home=home, on_line=lines.append, runtime=runtime) for _ in range(4)
        )
        return set(await asyncio.gather(*calls))

    assert asyncio.run(all_at_once()) == {home.environments / lock.lock_key}
    assert sum("building an environment" in line for line in lines) == 1


def damage_marker(environment: Path) -> None:
    (environment / MARKER).unlink()


def damage_file(environment: Path) -> None:
    next(environment.glob("lib/*/site-packages/mathy/__init__.py")).unlink()


def damage_size(environment: Path) -> None:
    file = next(environment.glob("lib/*/site-packages/mathy/__init__.py"))
    file.unlink()  # the file may be shared with uv's cache
    file.write_text("")


def damage_python(environment: Path) -> None:
    (environment / "bin/python").unlink()
    (environment / "bin/python").symlink_to("/no/such/python")


@pytest.mark.parametrize("damage", [damage_marker, damage_file, damage_size, damage_python])
def test_a_damaged_entry_is_set_aside_and_built_again(
    build: Callable[..., Path], home: Home, lock: Lock, damage: Callable[[Path], None]
):
    damage(build())
    assert not cached(lock.lock_key, home)
    lines: list[str] = []
    assert versions(build(lines)) == "2.0 3.1 0.1.0"
    assert any("is damaged and is built again" in line for line in lines)
    assert len(list(home.environments.glob(".broken-*"))) == 1


def test_compiled_files_that_come_later_are_no_damage(build: Callable[..., Path]):
    environment = build()
    cache = next(environment.glob("lib/*/site-packages/mathy")) / "__pycache__"
    (cache / "other.cpython-399.pyc").write_bytes(b"x")
    assert is_whole(environment)


def test_leftovers_of_killed_builds_are_swept_but_not_those_under_way(
    build: Callable[..., Path], home: Home, lock: Lock
):
    home.environments.mkdir(parents=True)
    mine = home.environments / f".building-{lock.lock_key}-abc"
    dead = home.environments / f".building-{'d' * 64}-abc"
    living = home.environments / f".building-{'e' * 64}-abc"
    old_damage, new_damage = home.environments / ".broken-x-1", home.environments / ".broken-x-2"
    for folder in (mine, dead, living, old_damage, new_damage):
        folder.mkdir()
        (folder / "file").touch()
    os.utime(old_damage, (time.time() - 1e6,) * 2)
    with entry_lock(home.environments, "e" * 64, timeout_seconds=1):
        build()
    assert [one.exists() for one in (mine, dead, living, old_damage, new_damage)] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_a_package_that_was_replaced_is_refused_and_nothing_is_left(
    build: Callable[..., Path], home: Home, lock: Lock
):
    text = lock.text.replace("sha256:", "sha256:0000", 1)
    text = "\n".join(
        line[:-4] if "0000" in line and not line.endswith("\\") else line for line in text.split("\n")
    )
    tampered = attrs.evolve(lock, text=text)
    with pytest.raises(EnvironmentUnsolvable, match="not the one that was locked"):
        build(of=tampered)
    assert [one.name for one in home.environments.iterdir()] == [f"{lock.lock_key}.lock"]


def test_a_full_disk_is_told_with_numbers(tmp_path: Path):
    error = failure("failed to copy: No space left on device (os error 28)", tmp_path)
    assert isinstance(error, SystemError_)
    assert "the disk is full" in error.message
    assert "bytes" in error.message
