"""The scripts on docs/reference/entry-scripts.md do what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from runtime.tests.worker.asking import posted

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "entry-scripts.md"
SCRIPTS = re.findall(
    r"(?:<!-- asked: (.+?) (answered|streamed): (.+?) -->\n)?```python\n(.+?)```",
    PAGE.read_text(encoding="utf-8"),
    re.DOTALL,
)


@pytest.mark.parametrize(("asked", "how", "told", "source"), [script for script in SCRIPTS if script[0]])
def test_a_script_on_the_page_answers_as_shown(loaded: Any, asked: str, how: str, told: str, source: str):
    reply = loaded(source).answer(posted(asked))
    if how == "streamed":
        assert b"".join(reply.chunks).decode() == told.replace("\\n", "\n")
    else:
        assert json.loads(reply.body) == json.loads(told)


def test_every_script_on_the_page_is_asked_but_the_one_that_needs_a_model(
    loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (unasked,) = [source for asked, _, _, source in SCRIPTS if not asked]
    model = tmp_path / "azureml-models" / "digits" / "1" / "model.pkl"
    model.parent.mkdir(parents=True)
    model.touch()
    monkeypatch.setenv("AML_APP_ROOT", str(tmp_path))
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(model.parent))
    assert json.loads(loaded(unasked).answer(posted("")).body) == str(model)
    assert len(SCRIPTS) == 10


BATCHES = [
    script for script in SCRIPTS if re.search(r"^(def run_batch|BATCHABLE)\b", script[3], re.MULTILINE)
]


@pytest.mark.parametrize(("asked", "_how", "told", "source"), BATCHES)
def test_a_script_that_declares_batches_answers_them_as_shown(
    loaded: Any, asked: str, _how: str, told: str, source: str
):
    outcomes = loaded(source, batching=True).answer_batch([posted(asked)] * 2)
    assert [json.loads(outcome.body) for outcome in outcomes] == [json.loads(told)] * 2


def test_the_page_shows_three_ways_to_declare_batches():
    assert len(BATCHES) == 3
