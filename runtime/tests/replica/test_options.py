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
