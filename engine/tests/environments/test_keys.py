"""Keys: equal for what is equal, different for what is not."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import EnvironmentSpec, EnvironmentUnsolvable
from modelyard.environments import Interpreter, explain_miss, make_lock, spec_key
from modelyard.environments.keys import normalised
from modelyard.environments.locks import LockDamaged, parse_pins, render, without

PYTHON = Interpreter(Path("/usr/bin/python3.11"), "3.11.7", "cp311", "glibc-2.36", True)
LINES = st.lists(
    st.builds(
        lambda name, pin: f"{name}{pin}",
        st.sampled_from(["numpy", "scikit-learn", "scipy", "joblib[x,y]"]),
        st.sampled_from(["", "==1.2", ">=1,<2", '; python_version < "4"']),
    ),
    max_size=5,
)
SHA = "sha256:" + "a" * 64


def key(*lines: str, python: Interpreter = PYTHON, runtime: str = "r") -> str:
    return spec_key(EnvironmentSpec(requirements=lines), python, runtime)


@given(lines=LINES, data=st.data())
def test_order_repetition_case_and_spaces_do_not_change_the_key(lines: list[str], data: st.DataObject):
    shuffled = data.draw(st.permutations(lines + lines[:1]))
    spelt = [line.replace("scikit-learn", "Scikit_Learn").replace(",<", " , < ") for line in shuffled]
    assert key(*lines) == key(*spelt, "", "# a comment")


@given(one=LINES, other=LINES)
def test_different_requirements_have_different_keys(one: list[str], other: list[str]):
    assert (key(*one) == key(*other)) == (normalised(one) == normalised(other))


@pytest.mark.parametrize(
    "python",
    [
        attrs.evolve(PYTHON, version="3.11.8"),
        attrs.evolve(PYTHON, abi="cp311t"),
        attrs.evolve(PYTHON, libc="musl-1.2"),
    ],
)
def test_the_interpreter_counts(python: Interpreter):
    assert key(python=python) != key()


def test_where_the_interpreter_lies_and_variables_do_not_count():
    assert key(python=attrs.evolve(PYTHON, path=Path("/opt/python"))) == key()
    assert spec_key(EnvironmentSpec(variables={"A": "1"}), PYTHON, "r") == key()


def test_the_runtime_counts():
    assert key(runtime="s") != key()


@pytest.mark.parametrize("line", ["--index-url https://x", "-r other.txt", "numpy==", "./wheel.whl"])
def test_a_line_that_is_no_requirement_is_refused_by_name(line: str):
    with pytest.raises(EnvironmentUnsolvable, match="is not a requirement"):
        key(line)


def test_a_file_that_may_change_under_its_key_is_refused():
    with pytest.raises(EnvironmentUnsolvable, match="may change under its key"):
        key("mathy @ file:///tmp/mathy-1.0-py3-none-any.whl")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (None, EnvironmentSpec(), "first environment of this service"),
        (
            EnvironmentSpec(requirements=("numpy", "scipy==1.1")),
            EnvironmentSpec(requirements=("scipy==1.2", "NumPy")),
            "requirements: +scipy==1.2 -scipy==1.1",
        ),
        (EnvironmentSpec(), EnvironmentSpec(python="3.12"), "python: default -> 3.12"),
        (EnvironmentSpec(), EnvironmentSpec(), "same specification; the interpreter, the runtime or"),
    ],
)
def test_a_miss_names_the_input_that_changed(old: EnvironmentSpec | None, new: EnvironmentSpec, says: str):
    assert explain_miss(old, new).startswith(says)


NAMES = st.sampled_from(["numpy", "scikit-learn", "zope.interface"])
HASHES = st.lists(st.sampled_from([f"sha256:{c * 64}" for c in "abc"]), min_size=1, unique=True)
PINS = st.dictionaries(
    st.builds(lambda n, m: f"{n}==1.0{m}", NAMES, st.sampled_from(["", ' ; sys_platform == "linux"'])), HASHES
)


@given(pins=PINS)
def test_a_rendered_lock_reads_as_it_was(pins: dict[str, list[str]]):
    assert parse_pins(render(pins)) == {name: sorted(hashes) for name, hashes in pins.items()}


def test_a_lock_key_ignores_the_tools_comments_and_order():
    one = f"# made by a tool at noon\na==1 \\\n    --hash={SHA}\n    # via b\nb==2 --hash={SHA}\n"
    other = f"b==2 \\\n    --hash={SHA}\na==1 \\\n    --hash={SHA}\n"
    locks = [make_lock(text, spec_key="s", interpreter=PYTHON, runtime_digest="r") for text in (one, other)]
    assert locks[0] == locks[1]
    assert locks[0].packages == ("a==1", "b==2")


@pytest.mark.parametrize("text", ["a==1\n", f"a --hash={SHA}", "a==1 --hash=md5:1", f"-e . --hash={SHA}"])
def test_a_line_without_pin_or_hash_is_damage(text: str):
    with pytest.raises(LockDamaged):
        parse_pins(text)


def test_only_the_named_package_is_dropped():
    text = f"modelyard-runtime @ file:///x.whl --hash={SHA}\nmodelyard-runtime-extra==1 --hash={SHA}"
    assert list(parse_pins(without(text, "modelyard-runtime"))) == ["modelyard-runtime-extra==1"]
