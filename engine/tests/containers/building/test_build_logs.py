"""The log of a build says which step failed, how, and what it said last."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from modelyard.containers.building.logs import LINE_LIMIT, TAIL_LINES, BuildKitLog, ClassicLog, Failure


def told(log: ClassicLog, *messages: dict[str, Any]) -> list[str]:
    return [line for message in messages for line in log.hear(message)]


FAILED = {
    "error": "The command '/bin/sh -c x' returned a non-zero code: 7",
    "errorDetail": {"code": 7, "message": "The command '/bin/sh -c x' returned a non-zero code: 7"},
}


def test_the_daemons_builder_names_the_step_that_failed():
    log = ClassicLog()
    lines = told(
        log,
        {"stream": "Step 1/2 : FROM base"},
        {"stream": "\n"},
        {"stream": " ---> 0123456789ab\n"},
        {"stream": "Step 2/2 : RUN x"},
        {"stream": "\n"},
        {"stream": " ---> Running in daa71b2c9a1d\n"},
        {"stream": "one\ntw"},
        {"stream": "o\n"},
        {"stream": "Removing intermediate container daa71b2c9a1d\n"},
        FAILED,
    )
    assert lines[:2] == ["Step 1/2 : FROM base", " ---> 0123456789ab"]
    assert log.container == "daa71b2c9a1d"
    assert log.failure == Failure(FAILED["error"], "2/2: RUN x", 7, ("one", "two"))  # type: ignore[arg-type]


def test_a_build_that_goes_well_has_no_failure():
    log = ClassicLog()
    assert told(log, {"stream": "Successfully built 1\n"}, {"aux": {"ID": "sha256:1"}}) == [
        "Successfully built 1"
    ]
    assert log.failure is None


def test_a_failure_before_any_step_says_what_the_daemon_says():
    log = ClassicLog()
    told(log, {"error": "dockerfile parse error line 1: unknown instruction: X", "errorDetail": {}})
    assert log.failure == Failure("dockerfile parse error line 1: unknown instruction: X")


def test_a_pull_is_told_without_its_progress_bars():
    log = ClassicLog()
    pulled = {"id": "a1", "status": "Pull complete", "progressDetail": {}}
    moving = {"id": "a1", "status": "Downloading", "progressDetail": {"current": 1}}
    assert told(log, pulled, moving) == ["a1 Pull complete"]


def test_what_a_progress_bar_wrote_over_is_not_shown():
    assert told(ClassicLog(), {"stream": "10%\r20%\r\x1b[32m100%\x1b[0m\n"}) == ["100%"]


@given(st.lists(st.text(max_size=50), max_size=20), st.integers(0, 3 * LINE_LIMIT))
def test_lines_are_whole_and_bounded_however_they_arrive(texts: list[str], long: int):
    log = ClassicLog()
    stream = [*texts, "x" * long, "\n", *(f"{number}\n" for number in range(3 * TAIL_LINES))]
    lines = told(log, *({"stream": text} for text in stream), FAILED)
    assert all(len(line) <= LINE_LIMIT and "\n" not in line for line in lines)
    assert log.failure is not None
    assert log.failure.tail == tuple(str(number) for number in range(2 * TAIL_LINES, 3 * TAIL_LINES))


def buildkit(*lines: str, status: int) -> Failure | None:
    log = BuildKitLog()
    for line in lines:
        log.hear(line)
    log.end(status)
    return log.failure


def test_buildkit_names_the_step_that_failed():
    failure = buildkit(
        "#4 [stage-1 1/2] FROM base",
        "#5 [stage-1 2/2] RUN x",
        "#5 0.123 one",
        "#6 0.200 another step's",
        "#5 0.456 two",
        '#5 ERROR: process "/bin/sh -c x" did not complete successfully: exit code: 7',
        "------",
        " > [2/2] RUN x:",
        'ERROR: failed to solve: process "/bin/sh -c x" did not complete successfully: exit code: 7',
        status=1,
    )
    assert failure is not None
    assert (failure.step, failure.status, failure.tail) == ("2/2: RUN x", 7, ("one", "two"))


def test_buildkit_that_cannot_begin_says_why():
    failure = buildkit("ERROR: Cannot connect to the Docker daemon", status=1)
    assert failure == Failure("Cannot connect to the Docker daemon")


def test_a_command_that_fails_without_a_word_has_failed():
    assert buildkit(status=125) == Failure("it said nothing")
    assert buildkit("unknown flag: --load", status=125) == Failure(
        "unknown flag: --load", tail=("unknown flag: --load",)
    )


def test_buildkit_that_goes_well_has_no_failure():
    assert buildkit("#1 [internal] load build definition", "#5 DONE 0.1s", status=0) is None
