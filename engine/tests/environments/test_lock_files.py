"""A user's own lock decides: its versions, its hashes, its machines, together with the runtime or alone."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import BasePython, EnvironmentSpec, EnvironmentUnsolvable, LockedPackage, LockFile
from modelyard.environments import (
    Asked,
    Interpreter,
    Lock,
    RuntimeWheel,
    ensure,
    parse_pins,
    solve,
    solve_for_base,
    spec_key,
)
from modelyard.environments.lock_files import held
from modelyard.processes import Home

from .conftest import Records, write_wheel


def sha256(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def locked(*wheels: Path, marker: str = "") -> LockFile:
    packages = (
        LockedPackage(wheel.name.split("-")[0], wheel.name.split("-")[1], (sha256(wheel),), marker)
        for wheel in wheels
    )
    return LockFile(tuple(packages))


@attrs.frozen
class Solver:
    home: Home
    records: Records
    python: Interpreter

    def __call__(self, lock_file: LockFile, *, runtime: RuntimeWheel | None = None) -> Lock:
        spec = EnvironmentSpec(lock_file=lock_file)
        solving = solve(spec, interpreter=self.python, runtime=runtime, home=self.home, records=self.records)
        return asyncio.run(solving)


@pytest.fixture
def solver(index: Path, home: Home, records: Records, interpreter: Interpreter) -> Solver:
    assert index.is_dir()
    return Solver(home, records, interpreter)


def test_the_files_versions_are_taken_though_newer_ones_are_there(solver: Solver, index: Path):
    lock = solver(locked(index / "mathy-1.0-py3-none-any.whl", index / "modelish-3.1-py3-none-any.whl"))
    assert lock.packages == ("mathy==1.0", "modelish==3.1")


def test_alone_nothing_is_added_to_the_file(solver: Solver, index: Path):
    assert solver(locked(index / "modelish-3.1-py3-none-any.whl")).packages == ("modelish==3.1",)


def test_together_the_runtimes_packages_join_and_keep_their_hashes(
    solver: Solver, index: Path, runtime: RuntimeWheel
):
    wheel = write_wheel(index, "own", "1.0")
    lock = solver(locked(wheel), runtime=runtime)
    assert lock.packages == ("mathy==2.0", "own==1.0")
    assert parse_pins(lock.text)["own==1.0"] == [sha256(wheel)]


def test_a_version_that_the_runtime_cannot_have_is_a_conflict(
    solver: Solver, index: Path, runtime: RuntimeWheel
):
    with pytest.raises(EnvironmentUnsolvable, match=r"your `mathy==1\.0` meets the runtime's `mathy>=2`"):
        solver(locked(index / "mathy-1.0-py3-none-any.whl"), runtime=runtime)


def test_a_file_that_somebody_replaced_on_the_index_is_refused(
    solver: Solver, index: Path, runtime: RuntimeWheel
):
    lock_file = locked(index / "mathy-2.0-py3-none-any.whl")
    write_wheel(index, "mathy", "2.0", more={"mathy/more.py": "evil = True\n"})
    with pytest.raises(EnvironmentUnsolvable, match=r"no file of mathy==2\.0 with a hash") as caught:
        solver(lock_file, runtime=runtime)
    assert caught.value.place == "environment.lock_file"
    assert "lock again" in caught.value.remedy


def test_alone_it_is_refused_at_the_latest_when_it_is_installed(
    solver: Solver, index: Path, home: Home, interpreter: Interpreter
):
    lock_file = locked(index / "oldish-0.1-py3-none-any.whl")
    write_wheel(index, "oldish", "0.1", more={"oldish/more.py": "evil = True\n"})
    with pytest.raises(EnvironmentUnsolvable):
        asyncio.run(ensure(solver(lock_file), interpreter, runtime=None, home=home))


def test_where_the_file_names_wheels_of_other_machines_alone_no_other_wheel_is_taken(
    solver: Solver, index: Path, home: Home, interpreter: Interpreter
):
    theirs = write_wheel(index, "oldish", "0.1", tag="cp39-cp39-win_amd64")
    with pytest.raises(EnvironmentUnsolvable) as caught:
        asyncio.run(ensure(solver(locked(theirs)), interpreter, runtime=None, home=home))
    assert "a wheel for this Python and machine" in caught.value.remedy


def test_a_package_of_another_machine_is_left_out(solver: Solver, index: Path):
    ours, theirs = index / "mathy-1.0-py3-none-any.whl", index / "modelish-3.1-py3-none-any.whl"
    both = (*locked(ours).packages, *locked(theirs, marker="sys_platform == 'win32'").packages)
    assert solver(LockFile(both)).packages == ("mathy==1.0",)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"requires_python": "<3.8"}, "its requires-python is <3.8"),
        ({"environments": ("sys_platform == 'win32'", "python_version < '3'")}, "its environments are"),
    ],
)
def test_a_file_that_was_made_for_another_target_is_refused(
    solver: Solver, index: Path, changed: dict[str, object], why: str
):
    lock_file = attrs.evolve(locked(index / "mathy-1.0-py3-none-any.whl"), **changed)
    with pytest.raises(EnvironmentUnsolvable, match=why) as caught:
        solver(lock_file)
    assert "the lock file is not for Python" in caught.value.message


def test_one_of_several_environments_is_enough(solver: Solver, index: Path):
    here = ("sys_platform == 'win32'", "python_version >= '3'")
    lock_file = attrs.evolve(locked(index / "mathy-1.0-py3-none-any.whl"), environments=here)
    assert solver(lock_file).packages == ("mathy==1.0",)


def test_a_wheel_for_another_platform_is_named(solver: Solver, index: Path):
    with pytest.raises(EnvironmentUnsolvable, match=r"`foreign==1\.0`"):
        solver(locked(index / "foreign-1.0-cp39-cp39-win_amd64.whl"))


def test_a_base_gets_the_same_packages(index: Path, home: Home, records: Records, base: BasePython):
    lock_file = locked(index / "mathy-1.0-py3-none-any.whl")
    solving = solve_for_base(
        Asked(lock_file=lock_file), base, key="k", runtime=None, home=home, records=records
    )
    (hashes,) = parse_pins(asyncio.run(solving)).values()
    assert hashes == list(lock_file.packages[0].hashes)


def test_what_is_built_holds_the_files_packages(
    solver: Solver, index: Path, home: Home, interpreter: Interpreter
):
    lock = solver(locked(index / "mathy-1.0-py3-none-any.whl"))
    folder = asyncio.run(ensure(lock, interpreter, runtime=None, home=home))
    assert list(folder.glob("lib/python3*/site-packages/mathy-1.0.dist-info"))


def test_a_hash_changes_the_key_and_no_file_leaves_it_as_it_was(interpreter: Interpreter):
    hashes = ("sha256:" + "1" * 64,), ("sha256:" + "2" * 64,)
    specs = [EnvironmentSpec(lock_file=LockFile((LockedPackage("mathy", "1.0", one),))) for one in hashes] + [
        EnvironmentSpec(requirements=("mathy==1.0",))
    ]
    assert len({spec_key(spec, interpreter, "r") for spec in specs}) == 3


HASHES = st.sets(st.sampled_from([f"sha256:{digit * 64}" for digit in "123456"]), min_size=1)


@given(HASHES, HASHES, HASHES)
def test_no_hash_is_left_that_the_file_does_not_name(solved: set[str], named: set[str], others: set[str]):
    text = "".join(
        f"{pin} " + " ".join(f"--hash={one}" for one in sorted(hashes)) + "\n"
        for pin, hashes in (("mathy==1.0", solved), ("other==1.0", others))
    )
    lock_file = LockFile((LockedPackage("mathy", "1", tuple(sorted(named))),))
    if solved.isdisjoint(named):
        with pytest.raises(EnvironmentUnsolvable):
            held(text, lock_file)
        return
    pins = parse_pins(held(text, lock_file))
    assert set(pins["mathy==1.0"]) == solved & named
    assert set(pins["other==1.0"]) == others
