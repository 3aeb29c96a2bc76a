"""Packages that are there before: what uv solves fits them, and does not hold them again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from modelyard.api import BasePython, EnvironmentUnsolvable
from modelyard.environments import Asked, Lock, Preinstalled, RuntimeWheel, lock_of, solve_for_base
from modelyard.processes import Home

from .conftest import Records, write_wheel

MATHY = Preinstalled("mathy", "1.5")


class Solver:
    def __init__(self, home: Home, records: Records, python: BasePython) -> None:
        self.home, self.records, self.python = home, records, python

    def __call__(
        self, *requirements: str, there: tuple[Preinstalled, ...], runtime: RuntimeWheel | None = None
    ) -> Lock:
        solving = solve_for_base(
            Asked(requirements),
            self.python,
            key=f"{requirements} {there}",
            runtime=runtime,
            home=self.home,
            records=self.records,
            preinstalled=there,
        )
        return lock_of(asyncio.run(solving))


@pytest.fixture
def solver(index: Path, home: Home, records: Records, base: BasePython) -> Solver:
    write_wheel(index, "newish", "1.0", requires=("mathy>=2",))
    write_wheel(index, "addon", "1.0")
    return Solver(home, records, base)


def test_a_package_that_is_there_is_not_locked_though_no_index_has_it(solver: Solver):
    assert solver("modelish", "mathy>=1.5", there=(MATHY,)).packages == ("modelish==3.1",)


def test_what_is_there_and_not_asked_for_changes_nothing(solver: Solver):
    there = (Preinstalled("elsewhere", "9"), Preinstalled("foreign", "8"))
    assert solver("modelish", there=there).packages == ("mathy==2.0", "modelish==3.1")


def test_what_needs_another_version_is_told_with_what_is_there(solver: Solver):
    with pytest.raises(EnvironmentUnsolvable, match="mathy>=2") as caught:
        solver("newish", there=(MATHY,))
    assert "mathy==1.5 comes from the conda file" in caught.value.remedy


def test_extras_of_what_is_there_are_locked(solver: Solver):
    there = Preinstalled("mathy", "1.5", ("more",), ('addon ; extra == "more"',))
    assert solver("mathy[more]", there=(there,)).packages == ("addon==1.0",)


def test_the_runtimes_own_packages_fit_what_is_there_too(solver: Solver, runtime: RuntimeWheel):
    two = Preinstalled("mathy", "2.0")
    assert solver("modelish", there=(two,), runtime=runtime).packages == ("modelish==3.1",)
    with pytest.raises(EnvironmentUnsolvable, match="mathy"):
        solver("modelish", there=(MATHY,), runtime=runtime)


def test_a_lock_names_no_place_of_this_machine(solver: Solver, home: Home):
    assert "file:" not in solver("modelish", there=(MATHY,)).text
    assert not list(home.cache.glob("solving-*"))
