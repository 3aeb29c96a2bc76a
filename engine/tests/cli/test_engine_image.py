"""`engine image build` in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from modelyard.api import EngineImage, EngineImageOrder, Progress

from engine.tests.cli import test_commands
from engine.tests.cli.test_commands import Run

run = test_commands.run  # a fixture

MADE = EngineImage(
    registry="company",
    repository="images/engine",
    tag="0.1.0",
    digest="sha256:" + "a" * 64,
    address="registry.example/images/engine@sha256:" + "a" * 64,
    version="0.1.0",
    revision="",
    platform="linux/amd64",
    base="python:3.11-slim-bookworm",
    base_digest="sha256:" + "b" * 64,
    python="3.11.7",
    wheels=("modelyard-0.1.0-py3-none-any.whl",),
    left_out=("acme: it has a file beside the packages",),
    packages=52,
    environment_key="c" * 64,
    environment_found=False,
)


def making(made: EngineImage) -> Any:
    def build(order: EngineImageOrder, *, on_progress: Any) -> EngineImage:
        assert isinstance(order, EngineImageOrder)
        on_progress(Progress("resolving 23 requirements"))
        return made

    return build


def test_it_says_the_digest_and_the_name_by_which_nodes_pull(run: Run):
    outcome = run("image", "build", build_engine_image=making(MADE))
    assert outcome.code == 0
    assert outcome.err == "resolving 23 requirements\n"
    lines = dict(line.split("  ", 1) for line in outcome.out.splitlines())
    assert lines["digest"].strip() == MADE.digest
    assert lines["nodes pull"].strip() == MADE.address
    assert lines["left out"].strip() == MADE.left_out[0]
    assert "nothing changed" not in outcome.out


def test_it_says_that_nothing_changed(run: Run):
    outcome = run("image", "build", build_engine_image=making(attrs.evolve(MADE, unchanged=True)))
    assert outcome.out.splitlines()[-1] == "nothing changed"


def test_a_dry_run_has_no_digest(run: Run):
    outcome = run("image", "build", "--dry-run", build_engine_image=making(attrs.evolve(MADE, digest="")))
    assert "not built: --dry-run" in outcome.out
    ((_, (order,), _),) = outcome.client.asked
    assert order.dry_run


def test_as_json_it_is_one_document(run: Run):
    outcome = run("image", "build", "--json", build_engine_image=making(MADE))
    assert json.loads(outcome.out)["digest"] == MADE.digest
    assert outcome.err == ""


def test_every_option_is_in_the_order_and_the_folder_is_absolute(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "dist").mkdir()
    monkeypatch.chdir(tmp_path)
    options = {"base": "b", "platform": "linux/arm64", "registry": "r", "tag": "t", "revision": "v"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    outcome = run("image", "build", "--wheels", "dist", *words, build_engine_image=making(MADE))
    ((_, (order,), _),) = outcome.client.asked
    assert order == EngineImageOrder(wheels=str(tmp_path / "dist"), **options)


def test_a_folder_that_is_not_there_is_refused_before_anything_is_asked(run: Run):
    outcome = run("image", "build", "--wheels", "nowhere")
    assert outcome.code == 1
    assert "nowhere" in outcome.err
    assert outcome.client.asked == []
