"""Bases: what an image's Python must be for an environment to be laid out for it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import attrs
import pytest
from modelyard.api import BasePython, EnvironmentUnsolvable
from modelyard.environments import Interpreter
from modelyard.environments.bases import Place, check_compiler, check_place, uv_platform

BASE = BasePython(
    path=PurePosixPath("/usr/local/bin/python3.11"),
    version="3.11.9",
    abi="cp311",
    libc="glibc-2.36",
    machine="x86_64",
    shared_libpython=True,
)
PREFIX = PurePosixPath("/opt/env")
HERE = Interpreter(Path("/usr/bin/python3.11"), "3.11.2", "cp311", "glibc-2.36", True)


def test_a_python_that_serves_fits():
    check_place(Place(PREFIX, BASE), serving=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shared_libpython": False}, r"3\.11\.9 .*has no libpython3\.11\.so\.1\.0"),
        ({"version": "3.10.4"}, r"Python 3\.10\.4 .*older than the runtime's oldest, 3\.11"),
        ({"version": "3.14.0rc1"}, r"3\.14\.0rc1 at .* is no released CPython 3"),
        ({"version": "3.11"}, "is no released CPython 3"),
        ({"path": PurePosixPath("python3")}, "at an absolute path"),
    ],
)
def test_what_does_not_fit_the_server_is_named(changes: dict[str, object], says: str):
    base = attrs.evolve(BASE, **changes)  # type: ignore[arg-type]
    with pytest.raises(EnvironmentUnsolvable, match=says) as caught:
        check_place(Place(PREFIX, base), serving=True)
    assert "choose a base image with" in caught.value.remedy


def test_a_script_alone_needs_neither_libpython_nor_the_servers_version():
    check_place(Place(PREFIX, attrs.evolve(BASE, version="3.8.18", shared_libpython=False)), serving=False)
    with pytest.raises(EnvironmentUnsolvable, match=r"oldest, 3\.8"):
        check_place(Place(PREFIX, attrs.evolve(BASE, version="3.7.16")), serving=False)


@pytest.mark.parametrize("prefix", ["env", "/", "/opt/../etc", "/opt/a'b", "/opt/a\nb", "/opt/$HOME", "/ a"])
def test_a_prefix_that_would_break_scripts_is_refused(prefix: str):
    with pytest.raises(EnvironmentUnsolvable, match="cannot be the folder"):
        check_place(Place(PurePosixPath(prefix), BASE), serving=False)


@pytest.mark.parametrize(
    ("machine", "libc", "named"),
    [
        ("x86_64", "glibc-2.36", "x86_64-manylinux_2_36"),
        ("amd64", "glibc-2.17", "x86_64-manylinux_2_17"),
        ("arm64", "glibc-2.30", "aarch64-manylinux_2_28"),
        ("aarch64", "glibc-2.99", "aarch64-manylinux_2_40"),
    ],
)
def test_the_newest_platform_that_the_base_satisfies_is_taken(machine: str, libc: str, named: str):
    assert uv_platform(attrs.evolve(BASE, machine=machine, libc=libc)) == named


@pytest.mark.parametrize(
    "changes",
    [{"machine": "s390x"}, {"libc": "glibc-2.12"}, {"libc": ""}, {"libc": "musl-1.2"}, {"system": "windows"}],
)
def test_a_platform_without_wheels_is_refused(changes: dict[str, str]):
    with pytest.raises(EnvironmentUnsolvable, match="laid out for Linux on x86_64 or aarch64"):
        uv_platform(attrs.evolve(BASE, **changes))


def test_another_patch_release_compiles_for_the_base():
    check_compiler(HERE, BASE)


@pytest.mark.parametrize("changes", [{"version": "3.12.1"}, {"version": "3.11.0rc1"}, {"abi": "cp311d"}])
def test_a_python_of_other_byte_code_does_not_compile_for_the_base(changes: dict[str, str]):
    with pytest.raises(EnvironmentUnsolvable, match="nothing here compiles for Python 3") as caught:
        check_compiler(attrs.evolve(HERE, **changes), BASE)
    assert "uv python install 3.11" in caught.value.remedy
