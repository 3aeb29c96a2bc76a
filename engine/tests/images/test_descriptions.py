"""An image says of itself what it was asked to be and what it holds, and is believed when it does so plainly."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import BasePython, EnvironmentSpec, ImageUnbuildable, PipLayer, Platform
from modelyard.images import Base, Inputs, Inside, describe, environments_of, inputs_of
from modelyard.images.descriptions import ENVIRONMENTS, INPUTS, KEY

PYTHON = BasePython(PurePosixPath("/usr/bin/python3.11"), "3.11.7", "cp311", "glibc-2.36", "x86_64", True)
PIP = PipLayer(PurePosixPath("/opt/env"), PYTHON, "", serving=True)
INPUTS_GIVEN = Inputs(Platform("linux", "amd64"), "sha256:1", EnvironmentSpec(base="python:3"))


def base(labels: dict[str, str]) -> Base:
    return Base("environments@sha256:1", "sha256:1", (), {"config": {"Labels": labels}})


@given(
    st.builds(
        EnvironmentSpec,
        base=st.none() | st.text(),
        python=st.sampled_from([None, "3.11"]),
        requirements=st.lists(st.sampled_from(["numpy", "scipy==1.1"]), max_size=2, unique=True).map(
            lambda one: tuple(sorted(one))
        ),
        conda=st.none() | st.dictionaries(st.text(), st.lists(st.text()), max_size=2),
        docker_steps=st.lists(st.text(), max_size=2).map(tuple),
    )
)
def test_what_it_was_asked_to_be_is_read_back(spec: EnvironmentSpec):
    inputs = Inputs(Platform("linux", "arm64", "v8"), "sha256:2", spec)
    assert inputs_of(base(describe(inputs, [PIP], "k"))) == inputs


def test_which_python_runs_where_is_read_back():
    labels = describe(INPUTS_GIVEN, [PIP], "k")
    assert environments_of(base(labels)) == (Inside(PIP.prefix, PYTHON, serving=True),)
    assert labels[KEY] == "k"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "environments": []}', '{"version": 1}'])
def test_what_does_not_say_what_it_holds_is_no_environment(text: str):
    with pytest.raises(ImageUnbuildable, match="does not say which environments"):
        environments_of(base({ENVIRONMENTS: text}))
    with pytest.raises(ImageUnbuildable):
        environments_of(base({}))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "platform": "x"}'])
def test_an_image_of_somebody_else_says_nothing_of_its_making(text: str):
    assert inputs_of(base({INPUTS: text})) is None


def test_the_same_inputs_are_described_with_the_same_bytes():
    assert describe(INPUTS_GIVEN, [PIP], "k") == describe(INPUTS_GIVEN, [PIP], "k")
    assert json.loads(describe(INPUTS_GIVEN, [PIP], "k")[INPUTS])["base_name"] == "python:3"
