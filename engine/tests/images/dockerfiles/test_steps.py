"""Docker steps are read as Docker reads them, and refused by their line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import ImageUnbuildable
from modelyard.images.dockerfiles.steps import (
    read_dockerfile,
    read_steps,
    takes_from_images,
    write_dockerfile,
)


@pytest.mark.parametrize(
    "step",
    [
        ("COPY --from=busybox /a /b",),
        ("COPY --fr\\", "om=busybox /a /b"),
        ("RUN --mount=type=bind,from=busybox,target=/x ls",),
        ("onbuild copy --FROM=busybox /a /b",),
    ],
)
def test_a_step_that_takes_from_another_image_is_told_by_its_line(step: tuple[str, ...]):
    assert takes_from_images(("RUN true", *step)) == 2
    assert takes_from_images(("RUN true", "COPY from /b", "RUN --mount=type=cache,target=/from ls")) == 0


def test_steps_are_joined_over_lines_comments_and_blanks():
    steps = read_steps(["# first", "RUN one \\", "  # between", "", "  && two", "env\tA=1"])
    assert [(step.line, step.name, step.text) for step in steps] == [
        (2, "RUN", "one   && two"),
        (6, "ENV", "A=1"),
    ]


def test_one_step_may_hold_several_lines():
    assert [step.name for step in read_steps(["RUN a\nRUN b"])] == ["RUN", "RUN"]


@pytest.mark.parametrize(
    ("steps", "place", "why"),
    [
        (["RUN a", "FROM other"], 2, "no FROM"),
        (["from scratch"], 1, "no FROM"),
        (["RUN \\", "  a", "FR\\", "OM x"], 3, "no FROM"),
        (["RUNN a"], 1, "'RUNN'"),
        (["apt-get install x"], 1, "no instruction"),
        (["RUN"], 1, "needs something"),
        (["RUN a \\"], 1, "last line"),
        (["RUN a", "RUN --network=host b"], 2, "host's network"),
        (["RUN --security=insecure b"], 1, "privileged"),
        (["RUN --mount=type=secret,id=x b"], 1, "no secret"),
        (["RUN --mount=type=cache,target=/x --mount=id=x,type=ssh b"], 1, "no agent"),
        (["RUN <<END", "a"], 1, "never ended"),
        (["RUN a\0b"], 1, "NUL"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(steps: list[str], place: int, why: str):
    with pytest.raises(ImageUnbuildable) as caught:
        read_steps(steps)
    assert why in str(caught.value)
    assert caught.value.place.startswith(f"environment.docker_steps:{place}")


def test_a_slip_of_the_pen_gets_a_suggestion():
    with pytest.raises(ImageUnbuildable, match="did you mean COPY"):
        read_steps(["COPPY a b"])


def test_what_is_text_inside_a_step_is_no_instruction():
    steps = read_steps(
        ["RUN <<-END", "FROM nothing", "\tEND", "COPY <<'A' <<B /x/", "A", "A", "A", "B", "ENV A=1"][:3]
    )
    assert [(step.name, step.has_heredoc) for step in steps] == [("RUN", True)]
    steps = read_steps(["COPY <<A <<B /x/", "FROM one", "A", "RUNN", "B", "ENV A=1"])
    assert [step.name for step in steps] == ["COPY", "ENV"]


def test_flags_end_where_the_command_begins():
    assert read_steps(["RUN curl --network=host"])[0].name == "RUN"


@pytest.mark.parametrize("text", ["", "# nothing", "RUN a\nFROM b", "ARG A=1"])
def test_a_whole_dockerfile_begins_with_from(text: str):
    with pytest.raises(ImageUnbuildable, match="begins with FROM"):
        read_dockerfile(text)


def test_a_whole_dockerfile_may_have_stages_and_arguments_before_them():
    steps = read_dockerfile("ARG V=3\nFROM python:${V} AS one\nFROM two\nCOPY --from=one /a /b\n")
    assert [step.name for step in steps] == ["ARG", "FROM", "FROM", "COPY"]


def test_a_dockerfile_may_choose_how_its_lines_go_on():
    steps = read_dockerfile("# escape=`\nFROM a\nRUN b `\n  c\nRUN d\\\n")
    assert [step.text for step in steps] == ["a", "b   c", "d\\"]


def test_windows_line_ends_are_line_ends():
    assert read_dockerfile("FROM a\r\nRUN b\r\n")[1].text == "b"


def test_our_dockerfile_is_the_base_and_the_steps():
    assert write_dockerfile("base:1", ["RUN a", "RUN b"]) == "FROM base:1\nRUN a\nRUN b\n"


@given(st.text(max_size=300))
def test_no_text_makes_the_reader_fail_otherwise(text: str):
    for read in (lambda: read_steps([text]), lambda: read_dockerfile(text)):
        try:
            read()
        except ImageUnbuildable as refusal:
            assert refusal.remedy  # noqa: PT017  any text may be right


@given(
    st.lists(
        st.sampled_from(["RUN a \\", "  b", "# c", "", "ENV A=1", "FROM x", "RUN <<E", "E"]), max_size=12
    )
)
def test_no_instruction_is_ever_hidden_from_the_check(lines: list[str]):
    """Whatever passes has no line that Docker could take for FROM, but inside a step that goes on."""
    try:
        steps = read_steps(lines)
    except ImageUnbuildable:
        return
    inside = {number for step in steps for number in range(step.line, len(lines) + 1)}
    assert all(number in inside for number, line in enumerate(lines, 1) if line == "FROM x")


def test_the_steps_that_the_documentation_shows_are_right():
    page = (Path(__file__).parents[4] / "docs/how-to/docker-steps.md").read_text()
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    assert [step.name for step in read_steps(shown["environment"]["docker_steps"])] == ["RUN", "ENV"]
