from __future__ import annotations

from typing import Any

import pytest
from modelyard.api import EnvironmentSpec, ResourceSpec, UserError
from modelyard.containers.values import facts_of
from modelyard.targets.docker.refusing import cdi_unsupported, refusals, unusable

from engine.tests.containers.fake_daemon import INFO, VERSION

from .making import workload


def codes(*, system: str = "Linux", is_local: bool = True, **spec: Any) -> list[str]:
    found = refusals(workload(**spec).spec, plugin="builtin", system=system, is_local=is_local)
    assert all(one.remedy and one.plugin == "builtin" for one in found)
    return [one.code for one in found]


def test_images_take_what_processes_cannot():
    environment = EnvironmentSpec(base="debian", conda={"name": "x"}, docker_steps=("RUN true",))
    assert codes(environment=environment) == []


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"resources": ResourceSpec(memory_limit_bytes=1 << 20)}, "memory_limit_too_small"),
        ({"resources": ResourceSpec(cpu_limit_millicores=5)}, "cpu_limit_too_small"),
        ({"system": "Darwin"}, "docker_not_on_linux"),
        ({"is_local": False}, "docker_remote"),
    ],
)
def test_what_it_cannot_serve_is_refused(spec: dict[str, Any], code: str):
    assert codes(**spec) == [code]


def test_a_rootless_daemon_is_not_used_and_a_plain_one_is():
    rootless = facts_of(VERSION, {**INFO, "SecurityOptions": ["name=rootless"]})
    error = unusable(rootless, "unix:///x")
    assert isinstance(error, UserError)
    assert error.remedy
    assert unusable(facts_of(VERSION, INFO), "unix:///x") is None


def test_cdi_is_refused_with_both_versions():
    error = cdi_unsupported(facts_of(VERSION, INFO), "unix:///x")
    assert "Docker 20.10.24 (API 1.41)" in error.message
    assert "25" in error.remedy
