"""A project folder that every test of the room may change."""

from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with a script, a model and a sample, but no engine.yaml."""
    (tmp_path / "score.py").write_text("def run(data):\n    return data\n")
    (tmp_path / "model.pkl").write_bytes(b"weights")
    (tmp_path / "sample.json").write_text("{}")
    return tmp_path
