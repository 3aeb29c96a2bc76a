"""v1's server was steered by variables too: among a service's they act like the keys they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from modelyard.api import ServiceSpec, SpecError
from modelyard.spec import parse_service, to_raw


def read(variables: dict[str, str], **keys: Any) -> ServiceSpec:
    raw = {"name": "digits", "code": {"entry": "score.py"}, "environment": {"variables": variables}, **keys}
    return parse_service(raw, base=Path("/"), check_files=False)


def test_variables_stand_for_keys_that_the_file_leaves_out():
    spec = read(
        {
            "SCORING_TIMEOUT_MS": "500",
            "AML_CORS_ORIGINS": "https://a.example, https://b.example:8443",
            "WORKER_COUNT": "3",
        }
    )
    assert spec.request.timeout_seconds == 0.5
    assert spec.cors == ("https://a.example", "https://b.example:8443")
    assert (spec.workers, spec.request.max_concurrent) == (3, 3)
    assert spec.environment.variables["WORKER_COUNT"] == "3"


def test_a_key_of_the_file_wins_over_its_variable():
    spec = read(
        {"SCORING_TIMEOUT_MS": "500", "AML_CORS_ORIGINS": "*"},
        request={"timeout": "2s"},
        cors=["https://a.example"],
    )
    assert spec.request.timeout_seconds == 2
    assert spec.cors == ("https://a.example",)


def test_what_was_read_is_read_again_as_the_same():
    spec = read({"SCORING_TIMEOUT_MS": "500", "WORKER_COUNT": "2"})
    assert parse_service(to_raw(spec), base=Path("/"), check_files=False) == spec


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SCORING_TIMEOUT_MS", "soon", "500ms"),
        ("SCORING_TIMEOUT_MS", "3600000", "300"),
        ("WORKER_COUNT", "many", "1"),
        ("AML_CORS_ORIGINS", "a.example", "https://example.com"),
    ],
)
def test_a_value_that_its_key_would_not_take_is_found_at_the_variable(name: str, value: str, says: str):
    with pytest.raises(SpecError) as caught:
        read({name: value})
    (finding,) = caught.value.findings
    assert finding["key"].startswith(f"environment.variables.{name}")
    assert says in str(finding)
