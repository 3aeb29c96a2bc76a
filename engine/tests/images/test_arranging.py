"""A script gets its packages together with the runtime's where that can be, and beside them where it cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest
from modelyard.api import BasePython, EnvironmentSpec, EnvironmentUnsolvable, ImageUnbuildable, Platform
from modelyard.environments import Preinstalled, RuntimeWheel
from modelyard.images import CondaFacts, Desk, Ground, ImageArrangement, Inputs, arrange_image, arranging
from modelyard.processes import find_home

PY311 = BasePython(PurePosixPath("/usr/bin/python3.11"), "3.11.7", "cp311", "glibc-2.36", "x86_64", True)
PY38 = BasePython(PurePosixPath("/opt/py/bin/python3.8"), "3.8.18", "cp38", "glibc-2.36", "x86_64", False)
WHEEL = RuntimeWheel(Path("/w/modelyard_runtime-0.1.0-py3-none-any.whl"), "d" * 64, ("pyvoy>=1",))
CLASH = EnvironmentUnsolvable("your `protobuf<4` meets the runtime's `protobuf>=6`")


@attrs.define
class Records:
    """Lock records in memory."""

    texts: dict[str, str] = attrs.field(factory=dict)

    async def load(self, spec_key: str) -> str | None:
        return self.texts.get(spec_key)

    async def save(self, spec_key: str, text: str) -> None:
        self.texts[spec_key] = text


@attrs.define
class Solver:
    """Stands in for uv: a lock names its requirements and whether the runtime's were among them."""

    clashes: bool = False
    unsolvable: bool = False
    solved: list[tuple[str, bool, str]] = attrs.field(factory=list)
    keys: list[str] = attrs.field(factory=list)
    there: list[tuple[str, ...]] = attrs.field(factory=list)

    async def __call__(self, asked: Any, python: BasePython, **more: Any) -> str:
        requirements = asked.requirements
        with_runtime = more["runtime"] is not None
        self.solved.append((" ".join(requirements), with_runtime, python.version))
        self.keys.append(more["key"])
        self.there.append(tuple(one.name for one in more["preinstalled"]))
        if requirements and (self.unsolvable or (self.clashes and with_runtime)):
            raise CLASH
        await more["records"].save(more["key"], "lock")
        return f"{' '.join(requirements)}|{with_runtime}"


@pytest.fixture
def solver(monkeypatch: pytest.MonkeyPatch) -> Solver:
    made = Solver()
    monkeypatch.setattr(arranging, "solve_for_base", made)
    return made


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(find_home({"MODELYARD_HOME": str(tmp_path)}), Records(), WHEEL, lambda _: None)


def arrange(
    desk: Desk,
    isolation: Any = "auto",
    *pythons: BasePython,
    python: str | None = None,
    ground: Ground | None = None,
) -> ImageArrangement:
    spec = EnvironmentSpec(base="python:3", python=python, requirements=("numpy",))
    inputs = Inputs(Platform("linux", "amd64"), "sha256:1", spec)
    return asyncio.run(
        arrange_image(inputs, ground or Ground("k", pythons or (PY311,)), isolation, desk=desk)
    )


def prefixes(arrangement: ImageArrangement) -> list[tuple[str, str, bool]]:
    return [(str(one.prefix), one.lock, one.serving) for one in arrangement.pips]


@pytest.mark.parametrize("isolation", ["auto", "thread"])
def test_packages_that_get_along_lie_in_one_environment(solver: Solver, desk: Desk, isolation: str):
    arrangement = arrange(desk, isolation)
    assert arrangement.isolation == "thread"
    assert prefixes(arrangement) == [("/opt/modelyard/env", "numpy|True", True)]
    assert len(solver.solved) == 1


def test_a_script_in_processes_has_an_environment_of_its_own(solver: Solver, desk: Desk):
    del solver
    arrangement = arrange(desk, "process")
    assert (arrangement.isolation, arrangement.why) == ("process", "")
    assert prefixes(arrangement) == [
        ("/opt/modelyard/env", "|True", True),
        ("/opt/modelyard/script", "numpy|False", False),
    ]


def test_packages_that_clash_are_kept_apart_and_the_reason_is_told(solver: Solver, desk: Desk):
    solver.clashes = True
    arrangement = arrange(desk)
    assert (arrangement.isolation, arrangement.why) == ("process", CLASH.message)


def test_a_clash_is_remembered_and_not_tried_again(solver: Solver, desk: Desk):
    solver.clashes = True
    first = arrange(desk)
    solver.solved.clear()
    assert arrange(desk) == first
    assert ("numpy", True, "3.11.7") not in solver.solved


def test_a_recorded_lock_is_asked_for_once_and_together_with_a_clash(solver: Solver, desk: Desk):
    class Meeting(Records):
        """Answers two questions at a time."""

        async def load(self, spec_key: str) -> str | None:
            asked.append(spec_key)
            if len(asked) == 2:
                both.set()
            async with asyncio.timeout(10):
                await both.wait()
            return await super().load(spec_key)

    asked, both = list[str](), asyncio.Event()
    arrange(desk)
    key = solver.keys[-1]
    desk.records.texts[key] = f"numpy==2.0 --hash=sha256:{'0' * 64}\n"  # type: ignore[attr-defined]
    solver.solved.clear()
    records = Meeting(desk.records.texts)  # type: ignore[attr-defined]
    arrangement = arrange(attrs.evolve(desk, records=records))
    assert "numpy==2.0" in arrangement.pips[0].lock
    assert sorted(asked) == sorted([key, f"{key}.conflict"])
    assert solver.solved == []


def test_packages_that_resolve_nowhere_are_no_clash(solver: Solver, desk: Desk):
    solver.unsolvable = True
    with pytest.raises(EnvironmentUnsolvable):
        arrange(desk)
    assert not any(key.endswith(".conflict") for key in desk.records.texts)  # type: ignore[attr-defined]


def test_an_old_python_runs_the_script_and_a_newer_one_of_the_base_the_server(solver: Solver, desk: Desk):
    del solver
    arrangement = arrange(desk, "auto", PY38, PY311, python="3.8")
    assert [one.python.version for one in arrangement.pips] == ["3.11.7", "3.8.18"]
    assert "3.11" in arrangement.why


def test_a_base_without_a_python_for_the_server_is_refused_before_anything_is_solved(
    solver: Solver, desk: Desk
):
    with pytest.raises(EnvironmentUnsolvable, match=r"3\.8\.18 .* older than the runtime's oldest, 3\.11"):
        arrange(desk, "auto", PY38)
    assert solver.solved == []


def test_a_python_without_its_library_is_named_with_the_library(solver: Solver, desk: Desk):
    del solver
    with pytest.raises(EnvironmentUnsolvable, match=r"libpython3\.11\.so\.1\.0"):
        arrange(desk, "thread", attrs.evolve(PY311, shared_libpython=False))


def test_a_base_without_the_python_asked_for_is_refused(solver: Solver, desk: Desk):
    del solver
    with pytest.raises(ImageUnbuildable, match=r"no Python 3\.12"):
        arrange(desk, python="3.12")


CONDA = attrs.evolve(PY311, path=PurePosixPath("/opt/modelyard/conda/bin/python3.11"), version="3.11.9")


def test_packages_on_top_of_condas_see_them_and_run_on_its_python(solver: Solver, desk: Desk):
    ground = Ground("k", (PY311,), CondaFacts(CONDA, (Preinstalled("mathy", "1"),)))
    (pip,) = arrange(desk, ground=ground).pips
    assert (pip.python, pip.system_packages) == (CONDA, True)
    assert solver.there == [("mathy",)]


def test_the_server_beside_a_script_sees_nothing_of_condas(solver: Solver, desk: Desk):
    ground = Ground("k", (PY311,), CondaFacts(CONDA, (Preinstalled("mathy", "1"),)))
    server, script = arrange(desk, "process", ground=ground).pips
    assert (server.system_packages, script.system_packages) == (False, True)
    assert solver.there == [(), ("mathy",)]


def test_conda_packages_without_a_python_leave_the_bases(solver: Solver, desk: Desk):
    ground = Ground("k", (PY311,), CondaFacts(None, ()))
    (pip,) = arrange(desk, ground=ground).pips
    assert (pip.python, pip.system_packages) == (PY311, False)
    assert solver.there == [()]


def test_what_was_solved_on_one_ground_is_not_taken_on_another(solver: Solver, desk: Desk):
    arrange(desk, ground=Ground("a", (PY311,)))
    arrange(desk, ground=Ground("b", (PY311,)))
    assert len(set(solver.keys)) == 2
