"""Settings that contradict each other are refused, each at its own key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from modelyard.api import BatchingSpec, GrpcSpec, MultiModelSpec, ServiceSpec, SpecError
from modelyard.spec import parse_service, settings_of
from modelyard.spec.combinations import OLDEST_IN_THREAD

ROOT = Path(__file__).resolve().parents[3]


def read(**keys: Any) -> ServiceSpec:
    raw = {"name": "digits", "code": {"entry": "score.py"}, **keys}
    return parse_service(raw, base=Path("/"), check_files=False)


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        ({"isolation": "thread", "workers": 2, "request": {"max_concurrent": 2}}, "workers", "process"),
        ({"workers": 2}, "workers", "request.max_concurrent: 2"),
        (
            {"isolation": "thread", "multi_model": {"enabled": True}, "models": ["/m"]},
            "multi_model.enabled",
            "process",
        ),
        ({"isolation": "thread", "environment": {"python": "3.9"}}, "environment.python", "3.11 or newer"),
        (
            {"environment": {"dockerfile": "FROM a\n", "base": "b"}},
            "environment.base",
            "its FROM",
        ),
        (
            {"environment": {"dockerfile": "FROM a\n", "docker_steps": ["RUN true"]}},
            "environment.docker_steps",
            "more of its lines",
        ),
        (
            {"batching": {"max_size": 8, "max_wait": "2s"}, "request": {"timeout": "1s"}},
            "batching.max_wait",
            "less than 1s",
        ),
        ({"multi_model": {"memory": "2Gi"}}, "multi_model.memory", "enabled: true"),
        ({"multi_model": {"enabled": True}}, "multi_model.enabled", "models"),
        (
            {
                "multi_model": {"enabled": True, "memory": "2Gi"},
                "models": ["/m"],
                "resources": {"limits": {"memory": "1Gi"}},
            },
            "multi_model.memory",
            "less than 1Gi",
        ),
        ({"cors": ["*", "https://a.example"]}, "cors", "`*` alone"),
        ({"cors": "https://a.example/path"}, "cors[0]", "without a path"),
        ({"compat": "v1"}, "compat", "strict-v1"),
        ({"isolation": "proces"}, "isolation", "auto, thread, process"),
        ({"environment": {"python": "3.7"}}, "environment.python", "3.8 or newer"),
    ],
)
def test_a_contradiction_names_its_key_and_a_way_out(keys: dict[str, Any], key: str, says: str):
    with pytest.raises(SpecError) as caught:
        read(**keys)
    (finding,) = caught.value.findings
    assert finding["key"] == key
    assert says in finding["allowed"]


def test_a_word_that_is_nearly_right_brings_a_suggestion():
    with pytest.raises(SpecError) as caught:
        read(isolation="proces")
    assert caught.value.findings[0]["suggestion"] == "process"


def test_every_key_reaches_the_specification():
    spec = read(
        isolation="process",
        workers=2,
        batching={"max_size": 8, "max_wait": "5ms"},
        compat="strict-v1",
        cors="https://a.example",
        grpc={"compression": True, "max_compression_ratio": 20},
        multi_model={"enabled": True, "memory": "2Gi"},
        models=["/m"],
        request={"max_concurrent": 4},
    )
    assert (spec.isolation, spec.workers, spec.compat) == ("process", 2, "strict-v1")
    assert spec.batching == BatchingSpec(max_size=8, max_wait_seconds=0.005)
    assert spec.slots == 32
    assert spec.cors == ("https://a.example",)
    assert spec.grpc == GrpcSpec(compression=True, max_compression_ratio=20)
    assert spec.multi_model == MultiModelSpec(enabled=True, memory_bytes=2 * 2**30)


def test_what_nobody_set_is_told_as_a_default():
    told = {one.key: (one.value, one.origin) for one in settings_of(read(workers=1))}
    assert told["isolation"] == ("auto", "default")
    assert told["workers"] == ("1", "file")


def test_the_oldest_python_of_a_thread_is_the_runtimes_own():
    metadata = tomllib.loads((ROOT / "runtime" / "pyproject.toml").read_text())
    assert metadata["project"]["requires-python"] == f">={'.'.join(map(str, OLDEST_IN_THREAD))}"
