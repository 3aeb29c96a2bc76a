"""Lock files (PEP 751): read with care, and refused with the place of what is wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import LockedPackage, LockFile, ServiceSpec, SpecError
from modelyard.spec import parse_service, read_service, to_raw
from modelyard.spec.documents import Node, node_of
from modelyard.spec.findings import Report, WrongError
from modelyard.spec.kinds import Context
from modelyard.spec.lock_files import MAX_LOCK_FILE_BYTES, LockFileKind, is_lock_file

ONE, TWO = "1" * 64, "2" * 64
LOCK = f"""lock-version = "1.0"
created-by = "a tool"
requires-python = ">=3.9"
environments = ["sys_platform == 'linux'"]

[[packages]]
name = "Six"
version = "1.17.0"
index = "https://user:secret@index.example/simple"
sdist = {{ url = "https://index.example/six.tar.gz", hashes = {{ sha256 = "{"9" * 64}" }} }}
wheels = [
  {{ url = "https://index.example/six-b.whl", hashes = {{ sha256 = "{TWO}" }} }},
  {{ name = "six-a.whl", path = "a/six-a.whl", hashes = {{ sha256 = "{ONE}", md5 = "x" }} }},
]

[[packages]]
name = "attrs"
version = "25.1"
marker = "python_version < '3.15'"
wheels = [{{ url = "https://index.example/attrs.whl", hashes = {{ sha256 = "{ONE}" }} }}]
"""
READ = LockFile(
    packages=(
        LockedPackage("attrs", "25.1", (f"sha256:{ONE}",), 'python_version < "3.15"'),
        LockedPackage("six", "1.17.0", (f"sha256:{ONE}", f"sha256:{TWO}")),
    ),
    requires_python=">=3.9",
    environments=('sys_platform == "linux"',),
)
WHEEL = f'[{{hashes = {{sha256 = "{ONE}"}}}}]'


def write(
    project: Path, lock: str, *, key: str = "requirements", name: str = "pylock.toml", more: str = ""
) -> None:
    (project / name).write_text(lock)
    (project / "engine.yaml").write_text(
        f"name: digits\ncode: {{entry: score.py}}\nenvironment:\n  {key}: {name}\n{more}"
    )


def finding(project: Path, lock: str, **how: Any) -> dict[str, Any]:
    write(project, lock, **how)
    with pytest.raises(SpecError) as caught:
        read_service(project)
    (found,) = caught.value.findings
    return dict(found)


@pytest.mark.parametrize("key", ["requirements", "lock_file"])
@pytest.mark.parametrize("name", ["pylock.toml", "pylock.gpu.toml"])
def test_versions_and_hashes_of_wheels_are_read(project: Path, key: str, name: str):
    write(project, LOCK, key=key, name=name)
    spec = read_service(project)
    assert spec.environment.lock_file == READ
    assert spec.environment.requirements == ()


def test_no_address_of_the_file_is_kept(project: Path):
    write(project, LOCK)
    assert "index.example" not in repr(read_service(project))


def test_what_was_read_survives_without_its_file(project: Path):
    write(project, LOCK)
    spec = read_service(project)
    (project / "pylock.toml").unlink()
    assert parse_service(to_raw(spec), base=project, check_files=False) == spec


@pytest.mark.parametrize(
    ("lock", "says"),
    [
        (LOCK.replace('"1.0"', '"2.0"', 1), "lock-version '2.0' is unknown"),
        ("packages = []", "lock-version None is unknown"),
        ('lock-version = "1.0"', "no list of `packages`"),
        ("lock-version = ", "not valid TOML"),
        (LOCK.replace('">=3.9"', '"soon"'), "requires-python is 'soon'"),
        (LOCK.replace("sys_platform == 'linux'", "linux"), "environments: 'linux' is no marker"),
        (LOCK.replace('"Six"', '"Si x"'), "packages[0]: 'Si x' is no name"),
        (LOCK.replace('"1.17.0"', '"new"'), "packages[0] (six): 'new' is no version"),
        (LOCK.replace('version = "1.17.0"', "", 1), "packages[0] (six): '' is no version"),
        (LOCK.replace(TWO, "2" * 63), "packages[0] (six) has a wheel without a SHA-256"),
        (LOCK.replace("python_version < '3.15'", "'gpu' in extras"), "depends on extras or groups"),
        (
            LOCK.replace("python_version < '3.15'", "'dev' in dependency_groups"),
            "depends on extras or groups",
        ),
        (LOCK.replace('name = "attrs"', "name = 7"), "packages[1]: name is no text"),
        (LOCK + f'[[packages]]\nname = "six"\nversion = "1.16.0"\nwheels = {WHEEL}\n', "six is there twice"),
        (
            LOCK + '[[packages]]\nname = "only"\nversion = "1"\nsdist = {}\n',
            "packages[2] (only) has no wheel",
        ),
        (LOCK + '[[packages]]\nname = "own"\ndirectory = {path = "."}\n', "(own) comes from a `directory`"),
        (LOCK + '[[packages]]\nname = "git"\nvcs = {type = "git"}\n', "(git) comes from a `vcs`"),
        (
            LOCK + '[[packages]]\nname = "url"\narchive = {url = "https://x/y.zip"}\n',
            "(url) comes from an `archive`",
        ),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_place(project: Path, lock: str, says: str):
    found = finding(project, lock)
    assert says in found["message"]
    assert (found["key"], found["line"]) == ("environment.lock_file", 4)
    assert found["allowed"]


def test_a_file_larger_than_any_lock_is_not_read(project: Path):
    with (project / "pylock.toml").open("wb") as file:
        file.truncate(MAX_LOCK_FILE_BYTES + 1)
    (project / "engine.yaml").write_text(
        "name: digits\ncode: {entry: score.py}\nenvironment: {requirements: pylock.toml}\n"
    )
    with pytest.raises(SpecError) as caught:
        read_service(project)
    assert "is larger than" in caught.value.findings[0]["message"]


def test_brackets_without_end_are_refused(project: Path):
    assert "pylock.toml" in finding(project, "x = " + "[" * 100_000)["message"]


def test_a_lock_file_decides_alone(project: Path):
    found = finding(project, LOCK, key="lock_file", more="  requirements: [numpy]\n")
    assert (found["key"], found["allowed"]) == ("environment.requirements", "one of the two")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("pylock.toml", True),
        ("locks/pylock.gpu.toml", True),
        ("pylock.a.b.toml", False),
        ("requirements.txt", False),
        ("xpylock.toml", False),
        (["pylock.toml"], False),
    ],
)
def test_a_lock_file_is_known_by_its_name(name: object, is_one: bool):  # noqa: FBT001
    assert is_lock_file(name) is is_one


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just("1.0") | st.just(ONE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["lock-version", "packages", "name", "version", "wheels", "hashes", "sha256", "marker", "vcs"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["packages", "requires-python", "environments", "x"]), PLAIN))
def test_no_content_raises_anything_but_a_finding(document: dict[str, Any]):
    node: Node = node_of({"lock-version": "1.0", **document})
    context = Context(Path(), Report("f"))
    with contextlib.suppress(WrongError):
        read = LockFileKind().parse(node, context, "k")
        assert LockFileKind().parse(node_of(LockFileKind().dump(read)), context, "k") == read


def test_a_service_without_one_has_none(project: Path):
    (project / "engine.yaml").write_text("name: digits\ncode: {entry: score.py}\n")
    spec: ServiceSpec = read_service(project)
    assert spec.environment.lock_file is None
