"""The process target keeps the promise of `Target`, over the stand-in and over the real runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from modelyard.api import Target, Workload
from modelyard.processes import Home
from modelyard.targets import ProcessTarget
from modelyard.testing.conformance import TargetConformance

REAL = Path(__file__).parents[4] / ".venv-runtime"


class TestProcessTarget(TargetConformance):
    @pytest.fixture
    def target(self, home: Home) -> Target:
        return ProcessTarget(home)

    @pytest.fixture
    def workload(self, digits: Workload) -> Workload:
        return digits

    @pytest.fixture
    def reopen(self, home: Home) -> Callable[[], Target]:
        return lambda: ProcessTarget(home)


@pytest.mark.slow
@pytest.mark.skipif(not (REAL / "bin/python").exists(), reason="the runtime's environment is not built")
class TestProcessTargetWithTheRealRuntime(TestProcessTarget):
    @pytest.fixture
    def workload(self, digits: Workload) -> Workload:
        code = Path(digits.code_dir)
        (code / "score.py").write_text("def init():\n    pass\n\ndef run(data):\n    return data\n")
        (code / "sample.json").write_text(json.dumps({"data": [1]}))
        return attrs.evolve(digits, environment=str(REAL))
