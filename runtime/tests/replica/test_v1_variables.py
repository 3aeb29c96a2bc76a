"""v1's server was steered by variables too: by hand they act like the options they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelyard_runtime.contract import StartContract
from modelyard_runtime.replica.arguments import WrongArguments, parse


def contract(folder: Path, *words: str) -> StartContract:
    return parse(["--code", str(folder), *words]).contract


def test_variables_stand_for_options_that_were_not_said(tmp_path: Path):
    made = contract(
        tmp_path,
        *("--env", "SCORING_TIMEOUT_MS=500"),
        *("--env", "AML_CORS_ORIGINS=https://a.example, https://b.example:8443"),
        *("--env", "WORKER_COUNT=3"),
    )
    assert made.timeout_s == 0.5
    assert made.cors_origins == ("https://a.example", "https://b.example:8443")
    assert (made.workers, made.max_concurrent, made.isolation) == (3, 3, "process")
    assert made.variables["WORKER_COUNT"] == "3"


def test_an_option_wins_over_its_variable(tmp_path: Path):
    made = contract(
        tmp_path,
        *("--env", "SCORING_TIMEOUT_MS=500", "--timeout", "2"),
        *("--env", "AML_CORS_ORIGINS=*", "--cors", "https://a.example"),
        *("--env", "WORKER_COUNT=3", "--workers", "1"),
    )
    assert (made.timeout_s, made.cors_origins, made.workers) == (2.0, ("https://a.example",), 1)


def test_with_neither_the_defaults_stand(tmp_path: Path):
    made, bare = (
        contract(tmp_path),
        StartContract(service="", revision=0, replica="", run_dir="", log_dir="", code_dir="", entry=""),
    )
    for field in ("timeout_s", "cors_origins", "workers", "max_concurrent", "max_queued", "isolation"):
        assert getattr(made, field) == getattr(bare, field)


@pytest.mark.parametrize("said", ["SCORING_TIMEOUT_MS=soon", "SCORING_TIMEOUT_MS=0", "WORKER_COUNT=-1"])
def test_a_value_that_its_option_would_not_take_is_refused_by_name(tmp_path: Path, said: str):
    with pytest.raises(WrongArguments, match=said.partition("=")[0]):
        contract(tmp_path, "--env", said)
