"""Options of a replica started by hand that must fit together."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelyard_runtime.replica.arguments import WrongArguments, parse


def test_more_workers_than_requests_at_once_are_refused_with_both_remedies(tmp_path: Path):
    with pytest.raises(WrongArguments, match="raise --max-concurrent to 3, or lower --workers"):
        parse(["--code", str(tmp_path), "--workers", "3", "--max-concurrent", "2"])


def test_as_many_workers_as_requests_at_once_are_taken(tmp_path: Path):
    made = parse(["--code", str(tmp_path), "--workers", "3", "--max-concurrent", "3"]).contract
    assert (made.workers, made.max_concurrent) == (3, 3)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("--multi-model", "name each with --model"),
        ("--model-memory 1Gi", "needs --multi-model"),
        ("--multi-model --model {} --isolation thread", "use --isolation process"),
        ("--multi-model --model {} --memory 1Gi --model-memory 2Gi", "less than --memory"),
    ],
)
def test_many_models_by_name_are_asked_for_in_full(tmp_path: Path, said: str, remedy: str):
    with pytest.raises(WrongArguments, match=remedy):
        parse(["--code", str(tmp_path), *said.format(tmp_path).split()])


def test_many_models_by_name_need_processes(tmp_path: Path):
    said = ["--code", str(tmp_path), "--multi-model", "--model", str(tmp_path), "--model-memory", "2Gi"]
    made = parse(said).contract
    assert (made.multi_model, made.isolation, made.model_memory_bytes) == (True, "process", 2 << 30)
