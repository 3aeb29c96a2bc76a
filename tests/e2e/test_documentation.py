"""Every command that the documentation shows is executed, and prints what it is said to print."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.conftest import ENGINE, ROOT, RunningEngine, doubler, engine_at

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

FENCE = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)


@attrs.frozen
class Command:
    """A shown command and the lines that are said to follow."""

    line: str
    expected: str


@attrs.frozen
class File:
    """A shown file."""

    path: str
    content: str


def shown(page: Path) -> Iterator[Command | File]:
    for block in FENCE.finditer(page.read_text(encoding="utf-8")):
        if block["title"]:
            yield File(block["title"], block["body"])
        elif block["language"] == "console":
            for command in re.split(r"^\$ ", block["body"], flags=re.MULTILINE)[1:]:
                line, _, expected = command.partition("\n")
                yield Command(line, expected.strip())


class Reader:
    """Does what a page says, in one folder, as a shell would."""

    def __init__(self, engine: RunningEngine, folder: Path) -> None:
        self.engine = engine
        self.start = folder
        self.cwd = folder

    def follow(self, page: Path) -> None:
        for step in shown(page):
            if isinstance(step, File):
                (self.start / step.path).write_text(step.content)
            else:
                self.run(step)

    def run(self, command: Command) -> None:
        line = command.line.partition("  #")[0].replace(":8484", f":{self.engine.port}")
        where = self.start / ".cwd"
        done = subprocess.run(
            ["/bin/bash", "-c", f"set -e -o pipefail\n{line}\npwd -P > {where}"],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.cwd,
            env={**self.engine.environment, "PATH": f"{ENGINE.parent}:{self.engine.environment['PATH']}"},
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        assert command.expected in done.stdout, f"$ {line}\n{done.stdout}{done.stderr}"
        self.cwd = Path(where.read_text().strip())


@pytest.fixture
def reader(home_folder: Path, environments: Path, tmp_path: Path) -> Iterator[Reader]:
    with engine_at(home_folder / "home", environments) as engine:
        yield Reader(engine, tmp_path)


def test_the_tutorial_works_from_the_first_command_to_the_last(reader: Reader):
    reader.follow(ROOT / "docs" / "tutorials" / "first-service.md")


def test_rotating_a_key_works_as_shown(reader: Reader):
    reader.engine.up()
    reader.engine.deploy(doubler(reader.start / "digits", name="digits"))
    reader.follow(ROOT / "docs" / "how-to" / "rotate-a-key.md")


def test_the_embedding_example_prints_the_answer(reader: Reader):
    folder = doubler(reader.start / "doubler")
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "embed" / "embed.py", folder],
        check=False,
        capture_output=True,
        text=True,
        env=reader.engine.environment,
    )
    assert "200 [2,4,6]" in done.stdout.replace(", ", ","), done.stdout + done.stderr
