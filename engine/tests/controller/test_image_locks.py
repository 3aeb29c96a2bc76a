"""Locks of services, made and refreshed and looked for, with uv over a folder of tiny wheels."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import (
    BasePython,
    Conflict,
    EnvironmentUnsolvable,
    LockReport,
    NotFound,
    Unavailable,
    UserError,
)
from modelyard.controller.artifacts import bases, environments, images, locking
from modelyard.environments import Interpreter, NoLock, RuntimeWheel, arranging
from modelyard.images import BaseFacts
from modelyard.testing import FakeTarget

from engine.tests.controller.library import Library, last, run
from engine.tests.environments.conftest import (  # noqa: F401  fixtures
    base,
    index,
    interpreter,
    runtime,
    uv_cache,
    write_wheel,
)
from engine.tests.images.layering import layer, put_image

KINDS = ("image", "environment")


@pytest.fixture(params=KINDS)
def library(  # noqa: PLR0917  fixtures
    request: pytest.FixtureRequest,
    tmp_path: Path,
    index: Path,  # noqa: F811
    runtime: RuntimeWheel,  # noqa: F811
    interpreter: Interpreter,  # noqa: F811
    base: BasePython,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Library:
    assert index.is_dir()
    for module in (environments, images, locking):
        monkeypatch.setattr(module, "bundled_runtime", lambda: runtime)
    monkeypatch.setattr(arranging, "find_interpreter", lambda *_, **__: interpreter)

    async def facts_of(*_: object) -> BaseFacts:
        return BaseFacts(base.machine, base.libc, (base,))

    monkeypatch.setattr(bases, "facts_of", facts_of)
    made = Library.at(tmp_path / "home")
    if request.param == "environment":
        made = Library.at(tmp_path / "home", target=FakeTarget())
    made.home.create()
    asyncio.run(put_image(made.registry, [layer({"a": b"a"})], repository="base/python"))
    return made


def lock(library: Library, *requirements: str, **more: Any) -> LockReport:
    spec = library.spec(requirements=requirements)
    spec = attrs.evolve(spec, isolation=more.pop("isolation", "auto"))
    return run(library.images.lock(spec, platform=more.pop("platform", "")))


def refresh(library: Library, *requirements: str, dry_run: bool = False, expected: str = "") -> LockReport:
    spec = library.spec(requirements=requirements)
    return run(library.images.refresh(spec, platform="", dry_run=dry_run, expected=expected))


def packages(report: LockReport) -> dict[str, tuple[str, ...]]:
    return {one.name: one.packages for one in report.environments}


def test_what_was_never_solved_is_solved_and_kept(library: Library):
    first = lock(library, "modelish")
    assert packages(first) == {"env": ("mathy==2.0", "modelish==3.1")}
    assert (first.was_stored, first.stored, first.isolation) == (False, True, "thread")
    assert [(one.name, one.old, one.new) for one in first.changes] == [
        ("mathy", "", "2.0"),
        ("modelish", "", "3.1"),
    ]
    again = lock(library, "modelish")
    assert (again.was_stored, again.changes, again.lock_key) == (True, (), first.lock_key)


def test_a_lock_is_what_a_frozen_look_takes_and_without_one_the_command_is_named(
    library: Library,
    index: Path,  # noqa: F811
):
    spec = library.spec(requirements=("modelish",))
    look = library.artifacts._look
    with pytest.raises(NoLock, match="no lock is stored") as caught:
        asyncio.run(look(spec, library.target, frozen=True, recent=()))
    assert "engine images lock" in caught.value.remedy
    locked = lock(library, "modelish")
    for wheel in index.iterdir():
        wheel.unlink()  # nothing can be solved from here on
    seen = asyncio.run(look(spec, library.target, frozen=True, recent=()))
    assert (seen.key, seen.isolation) == (locked.lock_key, "thread")


def test_frozen_never_takes_the_lack_of_a_lock_for_a_conflict(library: Library):
    lock(library, "mathy", isolation="process")  # there is one for the script alone, none together
    spec = library.spec(requirements=("mathy",))
    with pytest.raises(NoLock):
        asyncio.run(library.artifacts._look(spec, library.target, frozen=True, recent=()))
    assert lock(library, "mathy").isolation == "thread"


def test_a_conflict_is_part_of_what_is_stored(library: Library):
    report = lock(library, "mathy==1.0")
    assert report.isolation == "process"
    assert packages(report) == {"env": ("mathy==2.0",), "script": ("mathy==1.0",)}
    spec = library.spec(requirements=("mathy==1.0",))
    seen = asyncio.run(library.artifacts._look(spec, library.target, frozen=True, recent=()))
    assert (seen.key, seen.isolation) == (report.lock_key, "process")


def test_a_refresh_shows_what_changes_and_keeps_it_only_then(
    library: Library,
    index: Path,  # noqa: F811
):
    old = lock(library, "modelish")
    write_wheel(index, "mathy", "2.5")
    assert lock(library, "modelish").lock_key == old.lock_key, "what is solved stays"
    shown = refresh(library, "modelish", dry_run=True)
    assert [(one.name, one.old, one.new) for one in shown.changes] == [("mathy", "2.0", "2.5")]
    assert (shown.stored, lock(library, "modelish").lock_key) == (False, old.lock_key)
    kept = refresh(library, "modelish", expected=shown.fingerprint)
    assert (kept.stored, kept.lock_key) == (True, shown.lock_key)
    assert lock(library, "modelish").lock_key == shown.lock_key
    assert refresh(library, "modelish", dry_run=True).stored


def test_a_refresh_keeps_nothing_that_was_not_shown(library: Library, index: Path):  # noqa: F811
    old = lock(library, "modelish")
    shown = refresh(library, "modelish", dry_run=True)
    write_wheel(index, "mathy", "2.5")
    with pytest.raises(Conflict, match="resolve otherwise than a moment ago"):
        refresh(library, "modelish", expected=shown.fingerprint)
    assert lock(library, "modelish").lock_key == old.lock_key


def test_a_refresh_tries_again_whether_the_two_get_along(
    library: Library,
    index: Path,  # noqa: F811
):
    write_wheel(index, "narrow", "1.0", requires=("mathy==1.0",))
    assert lock(library, "narrow").isolation == "process"
    write_wheel(index, "narrow", "1.1", requires=("mathy>=2",))
    assert lock(library, "narrow").isolation == "process"
    assert refresh(library, "narrow").isolation == "thread"
    assert lock(library, "narrow").isolation == "thread"


def test_packages_that_do_not_resolve_keep_what_was_stored(library: Library):
    with pytest.raises(EnvironmentUnsolvable, match="nosuchthing"):
        lock(library, "nosuchthing")


def test_why_names_what_would_be_found_and_what_differs(library: Library):
    spec = library.spec(requirements=("modelish",))
    first = asyncio.run(library.images.why(spec))
    nothing = {"image": "no image was built before", "environment": "no environment was built before"}
    assert (first.found, first.why) == (False, nothing[library.target.artifact])
    assert first.kind == library.target.artifact

    async def with_one_before() -> None:
        await library.environment("modelish==3.1")
        library.revision(1, "k", spec=library.spec(requirements=("modelish==3.1",)))
        other = await library.images.why(library.spec(requirements=("modelish==3.1", "mathy")))
        assert "+mathy" in other.why

    asyncio.run(with_one_before())


def test_what_cannot_be_asked_is_said_before_anything_begins(library: Library):
    spec = attrs.evolve(library.spec(), target="gone")
    with pytest.raises(NotFound, match="no target is named 'gone'"):
        library.images.lock(spec, platform="")
    for wrong in ("linux", "windows/amd64", "linux/riscv64"):
        with pytest.raises(UserError):
            library.images.lock(library.spec(), platform=wrong)


def test_only_images_have_another_platform(library: Library):
    if library.target.artifact == "environment":
        with pytest.raises(UserError, match="there is no other platform"):
            lock(library, "modelish", platform="linux/arm64")
    else:
        report = lock(library, "modelish", platform="linux/amd64")
        assert report.platform == "linux/amd64"


@pytest.mark.parametrize("library", ["image"], indirect=True)
def test_docker_steps_must_have_been_done_before_their_python_is_known(library: Library):
    spec = library.spec(requirements=("modelish",), docker_steps=("RUN true",))
    with pytest.raises(Unavailable, match="docker steps was not built yet"):
        run(library.images.lock(spec, platform=""))


@pytest.mark.parametrize("library", ["image"], indirect=True)
def test_a_plan_tells_the_difference_to_the_nearest_image(library: Library):
    async def case() -> None:
        await library.environment("mathy==1.0", "six==1.0", "seven==1.0")
        await library.environment("modelish==3.1")
        spec = library.spec(requirements=("modelish==3.1", "mathy"))
        seen = await library.artifacts._look(spec, library.target, frozen=False, recent=())
        assert "requirements: +mathy" in seen.miss
        assert "-six" not in seen.miss

    asyncio.run(case())


def test_progress_is_told_line_by_line(library: Library):
    async def case() -> None:
        _, told = await last(library.images.lock(library.spec(requirements=("modelish",)), platform=""))
        version = ".".join(map(str, sys.version_info[:3]))
        assert f"resolving 1 requirements for Python {version}" in [one.message for one in told]

    asyncio.run(case())
