"""Beside a script of an older Python the server needs one of its own; where there is none, that is said at once."""

from __future__ import annotations

from pathlib import PurePosixPath

import attrs
import pytest
from modelyard.api import BasePython, EnvironmentSpec, EnvironmentUnsolvable
from modelyard.environments import CondaLock, CondaPackage
from modelyard.images.servers import check_servers, choose_server

PY311 = BasePython(PurePosixPath("/usr/bin/python3.11"), "3.11.7", "cp311", "glibc-2.36", "x86_64", True)
PY39 = BasePython(PurePosixPath("/usr/local/bin/python3.9"), "3.9.18", "cp39", "glibc-2.36", "x86_64", True)
BARE = attrs.evolve(PY311, path=PurePosixPath("/opt/python3.12"), version="3.12.1", shared_libpython=False)
MUSL = attrs.evolve(PY311, libc="")
ON_39 = EnvironmentSpec(base="python:3.9-slim", python="3.9")


def conda(version: str) -> CondaLock:
    python = CondaPackage(
        "python", version, "0_cpython", 0, "linux-64", "company", "company/python.conda", "0" * 64, 1
    )
    return CondaLock("k", "linux-64", "2.36", (python,))


def test_the_first_python_that_the_server_can_run_in_is_taken():
    assert choose_server((PY39, BARE, PY311), ON_39) == PY311


def test_every_python_of_the_base_is_named_with_what_is_wrong_about_it():
    with pytest.raises(EnvironmentUnsolvable) as caught:
        choose_server((PY39, PY39, BARE, MUSL), ON_39)
    message = caught.value.message
    assert message.count("/usr/local/bin/python3.9: it is older than the runtime's oldest, 3.11") == 1
    assert "/opt/python3.12: it has no libpython3.12.so.1.0" in message
    assert "/usr/bin/python3.11: wheels are laid out for Linux" in message


def test_the_error_says_where_the_base_was_named_and_what_to_do():
    with pytest.raises(EnvironmentUnsolvable) as caught:
        choose_server((PY39,), ON_39)
    assert caught.value.place == "environment.base: python:3.9-slim"
    assert (
        "a second Python, 3.11 or newer with its libpython, with environment.docker_steps"
        in caught.value.remedy
    )
    with pytest.raises(EnvironmentUnsolvable) as caught:
        choose_server((PY39,), EnvironmentSpec(dockerfile="FROM python:3.9-slim"))
    assert caught.value.place == "environment.dockerfile"
    assert "with the lines of the Dockerfile" in caught.value.remedy


def test_conda_packages_may_bring_the_servers_python_or_the_base_may():
    check_servers((PY39,), conda("3.11.9"), ON_39)
    check_servers((PY311,), conda("3.9.18"), ON_39)
    check_servers((PY311,), CondaLock("k", "linux-64", "2.36", ()), ON_39)


def test_conda_packages_with_an_old_python_on_a_base_with_one_are_refused_with_both_named():
    with pytest.raises(
        EnvironmentUnsolvable, match=r"/usr/local/bin/python3\.9.*/opt/modelyard/conda/bin/python3\.8"
    ):
        check_servers((PY39,), conda("3.8.18"), ON_39)
