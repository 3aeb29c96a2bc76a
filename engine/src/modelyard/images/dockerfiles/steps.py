"""Read Dockerfiles as far as it takes to refuse what is wrong with them, line by line; write ours. Pure.

A step may run anything inside the build's container. What would reach out of it, or needs what no build is
given, is refused by name here; the builder grants none of it either way.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence

import attrs

from modelyard.api import ImageUnbuildable

INSTRUCTIONS = frozenset(
    (
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
        *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    )
)
_LARGEST = 1_000_000
"""Characters of a Dockerfile."""
_WITH_HEREDOCS = frozenset(("ADD", "COPY", "RUN"))
_HEREDOC = re.compile(r"""\d*<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_.]*)\2""")
_DIRECTIVE = re.compile(r"#\s*([A-Za-z]+)\s*=\s*(\S.*?)\s*")
_IMAGES = re.compile(r"--from=|--mount=\S*\bfrom=", re.IGNORECASE)
_FLAG = re.compile(r"--(\S+)")
_REFUSED_FLAGS = (
    (re.compile(r"network=host"), "no build has the host's network", "remove --network=host"),
    (re.compile(r"security=insecure"), "no build is privileged", "remove --security=insecure"),
    (
        re.compile(r"mount=(?:\S*,)?type=(?:secret|ssh)(?:,|$)"),
        "no secret and no agent is given to a build",
        "copy what is no secret from the context, and let the service fetch the rest when it starts",
    ),
)


@attrs.frozen
class Step:
    """An instruction: the line where it begins (from 1), its name, what follows, lines joined."""

    line: int
    name: str
    text: str
    has_heredoc: bool = False


def read_steps(lines: Iterable[str]) -> tuple[Step, ...]:
    """Read docker steps. Raises `ImageUnbuildable` with the first line that is wrong."""
    steps = _read("\n".join(lines), "\\", "environment.docker_steps")
    for step in steps:
        if step.name == "FROM":
            raise _wrong(
                "environment.docker_steps",
                step.line,
                "docker steps stand on environment.base: they hold no FROM",
                "remove it, and name the image in environment.base",
            )
    return steps


def takes_from_images(lines: Iterable[str]) -> int:
    """Give the line of the first docker step that takes files from another image; 0 = none does.

    Raises `ImageUnbuildable` as `read_steps` does.
    """
    return next((step.line for step in read_steps(lines) if _IMAGES.search(step.text)), 0)


def read_dockerfile(text: str) -> tuple[Step, ...]:
    """Read a whole Dockerfile. Raises `ImageUnbuildable` with the first line that is wrong."""
    steps = _read(text, _escape_of(text), "Dockerfile")
    first = next((step for step in steps if step.name != "ARG"), None)
    if first is None or first.name != "FROM":
        line = first.line if first else 1
        raise _wrong("Dockerfile", line, "a Dockerfile begins with FROM", "name the image to build upon")
    return steps


def write_dockerfile(base: str, lines: Iterable[str]) -> str:
    """Write the Dockerfile of docker steps: `base` is an image of the daemon."""
    return "\n".join([f"FROM {base}", *lines, ""])


def _read(text: str, escape: str, where: str) -> tuple[Step, ...]:
    if len(text) > _LARGEST or "\0" in text:
        raise _wrong(where, 1, f"it has a NUL or over {_LARGEST} characters", "shorten it")
    steps = tuple(_steps(text.replace("\r\n", "\n").split("\n"), escape, where))
    for step in steps:
        _check_name(step, where)
        _check_flags(step, where)
    return steps


def _steps(lines: Sequence[str], escape: str, where: str) -> Iterator[Step]:
    number = 0
    while number < len(lines):
        if _is_blank(lines[number]):
            number += 1
            continue
        start = number + 1
        text, number = _joined(lines, number, escape, where)
        name, _, rest = text.lstrip().partition(" ")
        name, rest = _split_name(name, rest)
        ends = _heredocs(rest) if name in _WITH_HEREDOCS else []
        for strips_tabs, end in ends:
            number = _after_heredoc(lines, number, end, strips_tabs=strips_tabs, where=f"{where}:{start}")
        yield Step(start, name, rest.strip(), bool(ends))


def _split_name(name: str, rest: str) -> tuple[str, str]:
    """A tab ends the name as a space does."""
    head, tab, tail = name.partition("\t")
    return head.upper(), f"{tail} {rest}" if tab else rest


def _joined(lines: Sequence[str], number: int, escape: str, where: str) -> tuple[str, int]:
    """Join an instruction's lines; comments and blanks between them are nothing, as Docker reads them."""
    start, parts = number, list[str]()
    while True:
        line = lines[number].rstrip()
        number += 1
        goes_on = line.endswith(escape)
        parts.append(line[:-1] if goes_on else line)
        if not goes_on:
            return "".join(parts), number
        while number < len(lines) and _is_blank(lines[number]):
            number += 1
        if number == len(lines):
            raise _wrong(
                where, start + 1, f"the last line ends in {escape}", "remove it, or write what follows"
            )


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _heredocs(text: str) -> list[tuple[bool, str]]:
    words = (_HEREDOC.fullmatch(word) for word in text.split())
    return [(bool(found[1]), found[3]) for found in words if found]


def _after_heredoc(lines: Sequence[str], number: int, end: str, *, strips_tabs: bool, where: str) -> int:
    while number < len(lines):
        line = lines[number].lstrip("\t") if strips_tabs else lines[number]
        number += 1
        if line == end:
            return number
    raise ImageUnbuildable(f"the text {end!r} is never ended", place=where, remedy=f"end it by a line {end}")


def _check_name(step: Step, where: str) -> None:
    if step.name not in INSTRUCTIONS:
        near = difflib.get_close_matches(step.name, INSTRUCTIONS, 1)
        hint = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(sorted(INSTRUCTIONS))}"
        raise _wrong(where, step.line, f"{step.name[:40]!r} is no instruction of a Dockerfile", hint)
    if not step.text:
        raise _wrong(
            where, step.line, f"{step.name} needs something after it", "write it, or remove the line"
        )


def _check_flags(step: Step, where: str) -> None:
    if step.name != "RUN":
        return
    for word in step.text.split():
        flag = _FLAG.fullmatch(word)
        if flag is None:
            return
        for pattern, why, remedy in _REFUSED_FLAGS:
            if pattern.fullmatch(flag[1]) or pattern.match(flag[1]):
                raise _wrong(where, step.line, f"{word}: {why}", remedy)


def _escape_of(text: str) -> str:
    for line in text.split("\n"):
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        if directive[1].lower() == "escape" and directive[2] in ("\\", "`"):
            return directive[2]
    return "\\"


def _wrong(where: str, line: int, why: str, remedy: str) -> ImageUnbuildable:
    return ImageUnbuildable(why, place=f"{where}:{line}", remedy=remedy)
