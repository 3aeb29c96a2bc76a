"""Wheels fit each other and a base's Python, or the one that does not is named."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import BasePython, UserError
from modelyard.environments import WheelFile, requirements_of
from modelyard.environments.distributions import check_fit
from packaging.version import Version

PYTHON = BasePython(PurePosixPath("/usr/bin/python3"), "3.11.7", "cp311", "glibc-2.36", "x86_64", True)


def wheel(name: str, *requires: str, version: str = "0.1.0", python: str = ">=3.11") -> WheelFile:
    return WheelFile(Path(f"{name}-{version}.whl"), name, Version(version), "d" * 64, requires, python)


def test_what_they_need_of_each_other_is_not_asked_of_an_index():
    engine = wheel("modelyard", "attrs>=25", "Modelyard_Runtime>=0.1,<0.2")
    plugin = wheel("modelyard-cpu", "attrs>=25", "modelyard>=0.1")
    assert requirements_of([engine, wheel("modelyard-runtime"), plugin], PYTHON) == ("attrs>=25",)


def test_a_version_that_another_refuses_is_named_with_both():
    runtime = wheel("modelyard-runtime", version="0.3.0")
    with pytest.raises(UserError, match=r"modelyard 0\.1\.0 needs modelyard-runtime<0\.2.* is 0\.3\.0"):
        requirements_of([wheel("modelyard", "modelyard-runtime<0.2"), runtime], PYTHON)


def test_a_pre_release_built_together_fits():
    engine = wheel("modelyard", "modelyard-runtime>=0.2.dev1", version="0.2.dev1")
    assert requirements_of([engine, wheel("modelyard-runtime", version="0.2.dev1")], PYTHON) == ()


def test_a_python_that_one_refuses_is_told():
    old = attrs.evolve(PYTHON, version="3.10.4")
    with pytest.raises(UserError, match=r"requires Python >=3\.11, and the base has 3\.10\.4"):
        requirements_of([wheel("modelyard")], old)


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("sys_platform == 'linux'", True),
        ("sys_platform == 'win32'", False),
        ("python_version < '3.12'", True),
        ("python_full_version >= '3.11.8'", False),
        ("platform_machine == 'aarch64'", False),
        ("extra == 'serve'", False),
    ],
)
def test_markers_see_the_base_and_not_this_machine(marker: str, *, holds: bool):
    found = requirements_of([wheel("modelyard", f"numpy>=2; {marker}")], PYTHON)
    assert found == (("numpy>=2",) if holds else ())


def test_an_extra_of_one_that_another_asks_for_is_followed():
    runtime = wheel("modelyard-runtime", "pyvoy>=1; extra == 'serve'", "grpcio; extra == 'more'")
    plugin = wheel("other", "modelyard-runtime[serve]")
    assert requirements_of([runtime, plugin], PYTHON) == ("pyvoy>=1",)


def test_extras_that_ask_for_each_other_come_to_an_end():
    one = wheel("one", "two[b]; extra == 'a'", "x; extra == 'a'")
    two = wheel("two", "one[a]", "y; extra == 'b'", "one[a]; extra == 'b'")
    assert requirements_of([one, two], PYTHON) == ("x", "y")


@given(st.permutations(["a>=1", "b", "c[d]>=2", "e; python_version > '3'"]))
def test_the_order_in_which_they_ask_does_not_count(order: list[str]):
    assert requirements_of([wheel("modelyard", *order)], PYTHON) == ("a>=1", "b", "c[d]>=2", "e")


def test_what_is_missing_is_listed():
    with pytest.raises(UserError, match="no wheel of modelyard-auth, modelyard-runtime"):
        check_fit([wheel("modelyard")], needed=("modelyard-runtime", "modelyard-auth"), place="dist")


def test_two_of_one_are_both_named():
    wheels = [wheel("modelyard"), wheel("modelyard", version="0.2.0")]
    with pytest.raises(UserError, match=r"modelyard-0\.1\.0\.whl, modelyard-0\.2\.0\.whl"):
        check_fit(wheels, needed=(), place="dist")
