"""Looking at a spec's files and environment over real folders: what a plan is told, and when it is not known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import (
    CodeRef,
    EngineSettings,
    EnvironmentUnsolvable,
    ModelRef,
    ModelyardError,
    NotFound,
    ServiceSpec,
    StoreDamaged,
    Unavailable,
    UserError,
)
from modelyard.controller.artifacts import LocalArtifacts
from modelyard.controller.artifacts import environments as module
from modelyard.controller.ports import Inspection
from modelyard.environments import Arrangement, Interpreter, make_lock
from modelyard.processes import find_home
from modelyard.testing import FakeTarget

LOCAL = EngineSettings(registry="local")
PYTHON = Interpreter(Path("/usr/bin/python3.11"), "3.11.7", "cp311", "glibc-2.36", True)


@attrs.frozen
class EmptyHost:
    """A host whose registry is never reached: environments are arranged by the test."""

    registries: dict[str, Any] = attrs.field(factory=lambda: {"local": object()})


@pytest.fixture
def spec(tmp_path: Path) -> ServiceSpec:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text("def run(data): pass\n")
    (tmp_path / "weights.bin").write_bytes(b"weights")
    return ServiceSpec(
        name="digits",
        code=CodeRef(source=str(tmp_path / "code"), entry="score.py"),
        models=(ModelRef("digits", str(tmp_path / "weights.bin")),),
    )


@pytest.fixture
def local(tmp_path: Path) -> LocalArtifacts:
    home = find_home({"MODELYARD_HOME": str(tmp_path / "home")})
    return LocalArtifacts(home, EmptyHost(), LOCAL)  # type: ignore[arg-type]


@attrs.frozen
class Refusing:
    """A registry that lets go of nothing."""

    failure: Exception

    async def delete(self, repository: str, reference: str) -> None:
        assert (repository, reference) in (("code/digits", "1"), ("images/services/digits", "1"))
        raise self.failure


@pytest.fixture
def inspect(
    local: LocalArtifacts, spec: ServiceSpec, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Inspection]:
    async def built(*_: object) -> bool:
        return True

    def look(arrange: Callable[..., Any], **changes: Any) -> Inspection:
        async def arranged(_spec: object, isolation: str, **_: object) -> Any:
            return await arrange(isolation)

        monkeypatch.setattr(module, "arrange", arranged)
        return asyncio.run(local.inspect(attrs.evolve(spec, **changes), FakeTarget()))

    monkeypatch.setattr(module, "is_built", built)
    return look


async def together_or_as_asked(isolation: str) -> Arrangement:
    lock = make_lock("", spec_key="s", interpreter=PYTHON, runtime_digest="r")
    return Arrangement("process" if isolation == "process" else "thread", lock, PYTHON)


async def no_index(_isolation: str) -> Arrangement:
    raise Unavailable("the package index does not answer")


async def forever(_isolation: str) -> Arrangement:
    await asyncio.sleep(60)
    raise AssertionError


async def no_solution(_isolation: str) -> Arrangement:
    raise EnvironmentUnsolvable("the requirements do not resolve")


def test_auto_is_told_as_what_it_came_to(inspect: Callable[..., Inspection]):
    seen = inspect(together_or_as_asked)
    assert (seen.isolation, seen.isolation_why, seen.environment_cached) == ("thread", "", True)


def test_settings_that_need_processes_are_the_reason(inspect: Callable[..., Inspection]):
    seen = inspect(together_or_as_asked, workers=2)
    assert (seen.isolation, seen.isolation_why) == ("process", "workers: 2 needs processes")


def test_without_a_package_index_the_choice_is_left_open(inspect: Callable[..., Inspection]):
    seen = inspect(no_index)
    assert (seen.isolation, seen.environment_key, seen.environment_cached) == ("", "", False)
    assert "does not answer" in seen.isolation_why


def test_a_plan_does_not_wait_for_a_long_resolution(
    inspect: Callable[..., Inspection], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    assert inspect(forever).isolation_why == "to be found out: resolving takes long"


def test_what_was_asked_for_is_known_without_resolving(inspect: Callable[..., Inspection]):
    assert inspect(no_index, isolation="process").isolation == "process"


def test_requirements_without_a_solution_fail_the_plan_already(inspect: Callable[..., Inspection]):
    with pytest.raises(EnvironmentUnsolvable):
        inspect(no_solution)


@pytest.mark.parametrize(
    "failure", [UserError("deletion is off"), Unavailable("no answer"), NotFound("gone")]
)
def test_a_registry_that_lets_go_of_nothing_stops_no_deploy(
    failure: ModelyardError, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    home = find_home({"MODELYARD_HOME": str(tmp_path / "home")})
    host: Any = EmptyHost({"local": Refusing(failure)})
    asyncio.run(LocalArtifacts(home, host, LOCAL).discard("digits", [1], []))
    assert [record.message for record in caplog.records] == (
        []
        if isinstance(failure, NotFound)
        else [f"the registry keeps {what}/digits:1: {failure}" for what in ("code", "images/services")]
    )


def test_a_damaged_registry_is_told_when_records_are_discarded(tmp_path: Path):
    home = find_home({"MODELYARD_HOME": str(tmp_path / "home")})
    host: Any = EmptyHost({"local": Refusing(StoreDamaged("the index is no JSON"))})
    with pytest.raises(StoreDamaged):
        asyncio.run(LocalArtifacts(home, host, LOCAL).discard("digits", [1], []))
