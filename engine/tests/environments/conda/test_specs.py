"""Reading conda files: what counts is kept, what cannot be read is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import EnvironmentUnsolvable
from modelyard.environments import CondaSpec, normalised_conda

V1_FILE: dict[str, object] = {
    "name": "project_environment",
    "prefix": "/home/somebody/miniconda3/envs/x",
    "channels": ["conda-forge", "private"],
    "dependencies": [
        "python=3.8",
        "NumPy>=1.20,<2",
        {"pip": ["azureml-defaults", "Flask[async] == 2.0 # v1"]},
    ],
}


def test_a_conda_file_of_v1_is_read():
    spec = CondaSpec.read(V1_FILE)
    assert spec.channels == ("conda-forge", "private")
    assert [(one.name, one.text) for one in spec.wanted] == [
        ("numpy", "numpy >=1.20,<2"),
        ("python", "python 3.8.*"),
    ]
    assert spec.pip == ("azureml-defaults", "flask[async]==2.0")


def test_a_file_without_python_gets_the_one_that_is_asked_for():
    spec = CondaSpec.read({"dependencies": ["numpy"]}, python="3.11")
    assert [(one.text, one.place) for one in spec.wanted] == [
        ("numpy", "environment.conda.dependencies[0]"),
        ("python 3.11.*", "environment.python"),
    ]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("python=3.8", "3.11"),
        ("python==3.11.4", "3.11.5"),
        ("python 3.1.*", "3.11"),
        ("private::python=3.8", "3.9"),
    ],
)
def test_two_different_pythons_are_an_error(written: str, asked: str):
    with pytest.raises(
        EnvironmentUnsolvable, match=r"the conda file asks for Python .*`environment\.python` for"
    ):
        CondaSpec.read({"dependencies": ["numpy", written]}, python=asked)


@pytest.mark.parametrize(
    "written", ["python=3.11", "python=3.11.4", "python>=3.8", "python", "python 3.11.* *_cpython"]
)
def test_the_same_python_twice_is_none(written: str):
    texts = [one.text for one in CondaSpec.read({"dependencies": [written]}, python="3.11").wanted]
    assert "python 3.11.*" in texts


@pytest.mark.parametrize(
    ("conda", "place", "says"),
    [
        ({}, "environment.conda.dependencies", "has a list of `dependencies`"),
        ({"dependencies": {"a": 1}}, "environment.conda.dependencies", "has a list of `dependencies`"),
        ({"dependencies": ["a", 3.8]}, "environment.conda.dependencies[1]", "float.* is no conda dependency"),
        ({"dependencies": ["a", {"npm": ["b"]}]}, "environment.conda.dependencies[1]", "it is no text"),
        ({"dependencies": ["a", ""]}, "environment.conda.dependencies[1]", "missing package name"),
        (
            {"dependencies": ["-r more.yml"]},
            "environment.conda.dependencies[0]",
            "begins with a package's name",
        ),
        (
            {"dependencies": ["a==1==2"]},
            "environment.conda.dependencies[0]",
            "a package's name, then a version",
        ),
        (
            {"dependencies": ["a[channel=b]"]},
            "environment.conda.dependencies[0]",
            "the channel stands before it",
        ),
        (
            {"dependencies": ["https://u:pw@h/a-1-0.conda"]},
            "environment.conda.dependencies[0]",
            "not from addresses",
        ),
        ({"dependencies": ["::a"]}, "environment.conda.dependencies[0]", "before `::` is a channel"),
        ({"dependencies": [{"pip": "a"}]}, "environment.conda.dependencies[0].pip", "`pip` has a list"),
        (
            {"dependencies": [{"pip": ["b", "!"]}]},
            "environment.conda.dependencies[0].pip[1]",
            "not a requirement",
        ),
        ({"channels": "a", "dependencies": []}, "environment.conda.channels", "a list of `channels`"),
        ({"channels": [1], "dependencies": []}, "environment.conda.channels[0]", "a name or an address"),
        ({"dependencies": [], "variables": {"A": "1"}}, "environment.conda.variables", "is not read here"),
        ({"dependencies": [], "channel": ["a"]}, "environment.conda.channel", "is not read here"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(conda: Mapping[str, object], place: str, says: str):
    with pytest.raises(EnvironmentUnsolvable, match=says) as caught:
        CondaSpec.read(conda)
    assert caught.value.place == place
    assert caught.value.remedy
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("channel", "did you mean `channels`"),
        ("variables", "`environment.variables`"),
        ("x", "a conda file has"),
    ],
)
def test_an_unknown_key_is_told_where_it_belongs(key: str, remedy: str):
    with pytest.raises(EnvironmentUnsolvable) as caught:
        CondaSpec.read({"dependencies": [], key: ["a"]})
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "option", "remedy"),
    [
        ("-r requirements.txt", "-r", "`environment.requirements`"),
        ("--index-url=https://me:s3cret@host/simple", "--index-url", "UV_DEFAULT_INDEX"),
        ("--extra-index-url https://me:s3cret@host/simple", "--extra-index-url", "UV_INDEX"),
        ("-e .", "-e", "requirements alone"),
    ],
)
def test_an_option_of_pip_is_told_where_it_belongs(line: str, option: str, remedy: str):
    with pytest.raises(EnvironmentUnsolvable, match=f"`{option}` is not read here") as caught:
        CondaSpec.read({"dependencies": [{"pip": [line]}]})
    assert remedy in caught.value.remedy
    assert "s3cret" not in str(caught.value)


names = st.sampled_from(["numpy", "scipy>=1", "libtiny=1.0", "private::purely", "pandas=1.2=py_0"])


@given(st.lists(names), st.randoms())
def test_the_order_of_dependencies_does_not_count(dependencies: list[str], random: Any):
    shuffled = random.sample(dependencies, len(dependencies))
    one, other = ({"channels": ["a"], "dependencies": some} for some in (dependencies, shuffled))
    assert CondaSpec.read(one) == CondaSpec.read(other)
    assert normalised_conda(one) == normalised_conda(other)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, min_size=2))
def test_the_order_of_channels_counts(channels: list[str]):
    one, other = ({"channels": some, "dependencies": ["a"]} for some in (channels, channels[::-1]))
    assert CondaSpec.read(one) != CondaSpec.read(other)
    assert normalised_conda(one) != normalised_conda(other)


def test_a_files_own_name_and_who_asks_do_not_count_for_its_key():
    plain = {
        "channels": ["https://h:1/c", "https://h/c"],
        "dependencies": ["https://h/c::a", {"pip": ["b @ https://h/b.whl"]}],
    }
    private = {
        "name": "x",
        "prefix": "/y",
        "channels": ["https://me:s3cret@h:1/c", "https://h/t/tk-s3cret/c"],
        "dependencies": [{"pip": ["b @ https://me:s3cret@h/b.whl"]}, "https://s3cret@h/c::a"],
    }
    assert normalised_conda(private) == normalised_conda(plain)
    assert "s3cret" not in str(normalised_conda(private))


def test_what_is_secret_in_channels_is_not_shown():
    spec = CondaSpec.read(
        {"channels": ["https://me:s3cret@h/c"], "dependencies": ["https://me:s3cret@h/c::a"]}
    )
    assert "s3cret" not in repr(spec)
