from __future__ import annotations

import io
import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import KeyPair, Secret
from modelyard.telemetry import LogSettings, configure, get_logger, redact

KEY = "mk_p_" + "a" * 43 + "_0123ab"


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure(LogSettings(stream=stream))
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_logger_and_fields(stream: io.StringIO) -> None:
    get_logger("modelyard.test").info("scaled", service="digits", wanted=3)
    (line,) = lines(stream)
    assert line["at"].endswith("Z")
    del line["at"]
    assert line == {
        "event": "scaled",
        "level": "info",
        "logger": "modelyard.test",
        "service": "digits",
        "wanted": 3,
    }


def test_a_file_and_a_stream_get_the_same_lines(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure(LogSettings(file=tmp_path / "log", stream=stream))
    get_logger("modelyard.test").info("scaled", service="digits")
    (seen,), kept = lines(stream), json.loads((tmp_path / "log").read_text())
    assert seen.pop("at")
    assert kept.pop("at")
    assert seen == kept


def test_libraries_write_into_the_same_stream(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("lost %s of %d", "one", 2)
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("lost one of 2", "some.library", "warning")


def test_an_exception_is_written_on_the_same_line_without_its_secrets(stream: io.StringIO) -> None:
    get_logger("modelyard.test").error("failed", exc_info=ValueError(f"key {KEY} is wrong"))
    (line,) = lines(stream)
    assert "ValueError" in line["exception"]
    assert KEY not in stream.getvalue()


def test_a_secret_in_a_librarys_message_is_masked(stream: io.StringIO) -> None:
    logging.getLogger("httpx").warning("GET %s Authorization: Bearer %s", "/score", KEY)
    assert KEY not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_configuring_again_moves_the_log_and_doubles_nothing(stream: io.StringIO) -> None:
    second = io.StringIO()
    configure(LogSettings(stream=second))
    get_logger("modelyard.test").info("once")
    assert stream.getvalue() == ""
    assert len(lines(second)) == 1


def test_a_quieter_level_is_heeded() -> None:
    stream = io.StringIO()
    configure(LogSettings(stream=stream, level="WARNING"))
    get_logger("modelyard.test").info("unheard")
    assert stream.getvalue() == ""


def test_the_file_is_private_and_rotates(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "controller.log"
    configure(LogSettings(file=file, max_bytes=500, files=2))
    for number in range(30):
        get_logger("modelyard.test").info("line", number=number)
    names = sorted(one.name for one in file.parent.iterdir())
    assert names == ["controller.log", "controller.log.1", "controller.log.2"]
    assert {stat.S_IMODE(one.stat().st_mode) for one in file.parent.iterdir()} == {0o600}
    assert json.loads(file.read_text().splitlines()[-1])["number"] == 29


def test_an_embedding_program_hears_ordinary_records_redacted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "modelyard.test"):
        get_logger("modelyard.test").info("rotated", password="hunter2", note=KEY)
    (record,) = caplog.records
    assert record.getMessage() == "rotated"
    assert (vars(record)["password"], vars(record)["note"]) == ("***", "***")


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        "Authorization: Bearer abc.def",
        "authorization: BASIC dXNlcjpwYXNzd29yZA==",
        "https://user:pa55@index.example/simple",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
    ],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(text: str) -> None:
    secret = text.rsplit(" ", 1)[-1].removeprefix("https://").split("@")[0]
    assert secret not in json.dumps(redact({"a": [f"before {text} after"], "b": text}))


@pytest.mark.parametrize("name", ["Authorization", "api_key", "db_password", "access-token", "primary"])
def test_a_field_with_a_telling_name_is_masked_whatever_it_holds(name: str) -> None:
    assert redact({"headers": {name: ["value"]}}) == {"headers": {name: "***"}}


def test_values_of_secret_types_are_masked_at_any_depth() -> None:
    pair = KeyPair(Secret("one"), Secret("two"))
    assert redact({"a": (pair, {"b": Secret("three")})}) == {"a": ["***", {"b": "***"}]}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text("abc xyz"), st.lists))
def test_what_is_no_secret_stays_as_it_is(value: object) -> None:
    assert redact({"field": value}) == {"field": value}


@given(
    key=st.from_regex(r"mk_[ps]_[A-Za-z0-9_-]{43}_[0-9a-f]{6}", fullmatch=True), around=st.text("ab ,;:'\"")
)
def test_an_issued_key_never_gets_through(key: str, around: str) -> None:
    assert key not in repr(redact([{"note": f"{around} {key} {around}"}]))
