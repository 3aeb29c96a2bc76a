"""Solving: once, together with the runtime, and with the conflict named."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from modelyard.api import (
    EnvironmentSpec,
    EnvironmentUnsolvable,
    ModelyardError,
    Unavailable,
)
from modelyard.environments import Interpreter, Lock, LockTexts, RegistryLockRecords, RuntimeWheel, solve
from modelyard.environments.conflicts import explain
from modelyard.environments.records import LOCK_TYPE
from modelyard.processes import Home
from modelyard.testing import InMemoryRegistry

from engine.tests.images.making import Watched


class Solver:
    def __init__(self, home: Home, records: object, python: Interpreter, runtime: RuntimeWheel) -> None:
        self.home, self.records, self.python, self.runtime = home, records, python, runtime
        self.lines: list[str] = []

    def __call__(self, *requirements: str, refresh: bool = False) -> Lock:
        return asyncio.run(
            solve(
                EnvironmentSpec(requirements=requirements),
                home=self.home,
                records=self.records,  # type: ignore[arg-type]
                refresh=refresh,
                on_line=self.lines.append,
                interpreter=self.python,
                runtime=self.runtime,
            )
        )


@pytest.fixture
def solver(
    index: Path, home: Home, records: object, interpreter: Interpreter, runtime: RuntimeWheel
) -> Solver:
    assert index.is_dir()
    return Solver(home, records, interpreter, runtime)


def test_a_lock_pins_and_hashes_what_script_and_runtime_need(solver: Solver):
    lock = solver("modelish")
    assert lock.packages == ("mathy==2.0", "modelish==3.1")
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", lock.text)) == 2


def test_a_lock_names_no_place_of_this_machine(solver: Solver):
    assert "file:" not in solver("modelish").text


def test_a_known_specification_is_not_solved_again(solver: Solver, records: object):
    first = solver("modelish")
    solver.lines.clear()
    assert solver("Modelish") == first
    assert (solver.lines, records.saved) == ([], 1)  # type: ignore[attr-defined]


def test_refresh_solves_again(solver: Solver, records: object):
    solver("modelish")
    solver("modelish", refresh=True)
    assert records.saved == 2  # type: ignore[attr-defined]


def test_a_damaged_record_is_solved_again_and_said_so(solver: Solver, records: object):
    first = solver("modelish")
    records.texts[first.spec_key] = "not a lock"  # type: ignore[attr-defined]
    assert solver("modelish") == first
    assert any("damaged" in line for line in solver.lines)


def test_a_conflict_names_both_requirements(solver: Solver):
    with pytest.raises(EnvironmentUnsolvable) as caught:
        solver("mathy==1.0")
    assert "your `mathy==1.0` meets the runtime's `mathy>=2`" in caught.value.message
    assert caught.value.remedy == (
        "choose a version of mathy that works with mathy>=2, or set `isolation: process`"
    )


def test_a_conflict_deeper_down_names_the_line_that_brings_it(solver: Solver):
    with pytest.raises(EnvironmentUnsolvable, match="your `oldish` meets the runtime's `mathy>=2`"):
        solver("oldish")


def test_an_unknown_package_is_named(solver: Solver):
    with pytest.raises(EnvironmentUnsolvable, match="`nosuchthing`"):
        solver("modelish", "nosuchthing")


def test_a_package_without_a_fitting_wheel_is_named(solver: Solver):
    with pytest.raises(EnvironmentUnsolvable, match="`foreign`"):
        solver("foreign")


@pytest.mark.parametrize(
    "spec",
    [
        EnvironmentSpec(conda={"name": "x"}),
        EnvironmentSpec(docker_steps=("RUN x",)),
        EnvironmentSpec(base="b"),
    ],
)
def test_what_needs_an_image_is_never_ignored(
    home: Home, records: object, interpreter: Interpreter, spec: EnvironmentSpec
):
    with pytest.raises(EnvironmentUnsolvable, match="without an image cannot have"):
        asyncio.run(
            solve(spec, home=home, records=records, interpreter=interpreter, runtime=None)  # type: ignore[arg-type]
        )


def test_nothing_is_left_behind_in_the_cache_folder(solver: Solver, home: Home):
    solver("modelish")
    assert list(home.cache.glob("solving-*")) == []


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("error: Failed to fetch `https://x/`\n  cause: dns error", Unavailable),
        (
            "  \u00d7 No solution found when resolving dependencies:\n  ╰─▶ Because of you",
            EnvironmentUnsolvable,
        ),
    ],
)
def test_an_absent_index_is_no_fault_of_the_requirements(output: str, kind: type[ModelyardError]):
    error = explain(output, ("numpy",), ())
    assert type(error) is kind
    assert "╰" not in error.message
    assert "\n" not in str(error)


def test_a_python_that_the_runtime_has_no_wheel_for_is_not_blamed_on_the_user():
    said = "  cause: Because mathy>=2 has no wheels with a matching Python ABI tag and modelyard-runtime needs it"
    error = explain(said, ("numpy",), ("mathy>=2",))
    assert error.message.startswith("the runtime's `mathy>=2` cannot be had for this Python")
    assert error.remedy == "choose another Python, or set `isolation: process`"


def test_records_in_a_registry_come_back_under_their_key():
    registry = InMemoryRegistry()
    records = RegistryLockRecords(registry)

    async def case() -> None:
        await records.save("abc", "mathy==1\n")
        assert await records.load("abc") == "mathy==1\n"
        assert await records.load("other") is None
        (layer,) = (await registry.pull("environments", "abc")).layers
        assert layer.media_type == LOCK_TYPE

    asyncio.run(case())


def test_a_record_that_was_read_before_is_not_read_again_and_one_that_moved_is():
    registry = Watched(InMemoryRegistry())
    texts = LockTexts()

    async def case() -> None:
        await RegistryLockRecords(registry).save("abc", "mathy==1\n")
        registry.calls.clear()
        for _ in range(3):
            assert await RegistryLockRecords(registry, texts).load("abc") == "mathy==1\n"
        assert (registry.count("resolve"), registry.count("read_blob")) == (3, 1)
        await RegistryLockRecords(registry).save("abc", "mathy==2\n")
        assert await RegistryLockRecords(registry, texts).load("abc") == "mathy==2\n"

    asyncio.run(case())
