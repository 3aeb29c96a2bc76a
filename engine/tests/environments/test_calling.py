"""What uv says is passed on without secrets, even where it does not take care of that itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from modelyard.api import Unavailable
from modelyard.environments import calling
from modelyard.environments.calling import run_uv, wrong_credentials

SECRET = "s3cret-0123456789"


@pytest.fixture
def talkative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv that says whatever its arguments say: they come after the options."""
    program = tmp_path / "uv"
    program.write_text('#!/bin/sh\nwhile [ "$1" != say ]; do shift; done\necho "$2"\nsleep "$3"\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setattr(calling, "uv_binary", lambda: str(program))
    return program


def said(tmp_path: Path, text: str) -> str:
    lines: list[str] = []
    done = asyncio.run(run_uv(["say", text, "0"], cwd=tmp_path, timeout_seconds=10, on_line=lines.append))
    assert done.status == 3
    assert lines == [done.output_tail]
    return done.output_tail


@pytest.mark.parametrize(
    ("variable", "value", "text", "shown"),
    [
        ("X", "", f"GET https://me:{SECRET}@h.example/a", "GET https://h.example/a"),
        ("UV_INDEX_COMPANY_PASSWORD", SECRET, f"tried {SECRET}", "tried ***"),
        ("UV_DEFAULT_INDEX", f"https://{SECRET}@h.example/simple", f"token {SECRET}", "token ***"),
        ("UV_INDEX", f"a=https://b.example c=https://me:{SECRET}@h.example", SECRET, "***"),
        ("UV_INDEX_URL", "https://me:p%40ss-word@h.example", "p%40ss-word p@ss-word", "*** ***"),
        ("HTTPS_PROXY", f"http://me:{SECRET}@p.example:3128", f"proxy says {SECRET}", "proxy says ***"),
        (
            "UV_DEFAULT_INDEX",
            f"https://h.example/{SECRET}/simple/",
            f"GET https://h.example/{SECRET}/simple/numpy/: 404",
            "GET https://h.example/***/simple/numpy/: 404",
        ),
        (
            "UV_DEFAULT_INDEX",
            "https://h.example/simple",
            "https://h.example/simple/a",
            "https://h.example/simple/a",
        ),
        (
            "UV_INDEX_A_PASSWORD",
            "abc",
            "abc is too short to be looked for",
            "abc is too short to be looked for",
        ),
    ],
)
def test_secrets_are_taken_out_and_the_rest_stays(
    talkative: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, text: str, shown: str
):
    monkeypatch.setenv(variable, value)
    assert said(talkative.parent, text) == shown


def test_what_was_said_before_time_ran_out_is_shown_without_secrets(
    talkative: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("UV_INDEX_A_PASSWORD", SECRET)
    running = run_uv(
        ["say", f"the last: {SECRET}", "60"], cwd=talkative.parent, timeout_seconds=1.0, on_line=None
    )
    with pytest.raises(Unavailable) as caught:
        asyncio.run(running)
    assert "the last: ***" in caught.value.message
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("output", "is_refused"),
    [("error (401 Unauthorized) for url", True), ("HTTP 403 Forbidden", True), ("404 Not Found", False)],
)
def test_an_index_that_refuses_is_known_by_its_status(output: str, is_refused: bool):  # noqa: FBT001
    assert (wrong_credentials(output) is not None) is is_refused
