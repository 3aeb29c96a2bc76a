"""A replica that a person starts: the commands of docs/how-to/run-one-replica.md."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from modelyard_runtime import causes

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "run-one-replica.md"
PROGRAM = str(Path(sys.executable).parent / "modelyard-replica")
SUM = "import json\ndef init(): pass\ndef run(data): return sum(json.loads(data))\n"


def shown(number: int) -> list[str]:
    """Return a command of the page, with a free port in place of the one it shows."""
    commands = re.findall(r"```bash\nmodelyard-replica (.*?)\n```", PAGE.read_text(encoding="utf-8"))
    return [PROGRAM, *shlex.split(commands[number].replace("5001", "0"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "score.py").write_text(SUM)
    (tmp_path / "sample.json").write_text("[1, 2, 4]")
    return tmp_path


def test_the_first_command_serves_until_ctrl_c(folder: Path):
    with subprocess.Popen(
        shown(0), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as replica:
        assert replica.stdout is not None
        url = next(found[0] for line in replica.stdout if (found := re.findall(r"http://\S+/score", line)))
        with urllib.request.urlopen(url, b"[3, 4]", timeout=10) as answer:  # noqa: S310  # our own address
            assert json.loads(answer.read()) == 7
        replica.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 20
        while replica.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert replica.returncode == 0


def test_the_second_command_scores_the_sample_and_ends(folder: Path):
    done = subprocess.run(shown(1), cwd=folder, capture_output=True, text=True, check=False, timeout=40)
    assert done.returncode == 0, done.stderr
    assert "7" in done.stdout.split()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("def init(:\n", 11),
        ("import nosuchthing\n", 12),
        ("def init(): pass\n", 13),
        ("def init(): 1 / 0\ndef run(data): return 1\n", 14),
        ("def init(): raise SystemExit(3)\ndef run(data): return 1\n", 15),
    ],
)
def test_the_exit_code_says_what_class_of_cause_it_was(folder: Path, script: str, code: int):
    (folder / "service" / "score.py").write_text(script)
    done = subprocess.run(shown(1), cwd=folder, capture_output=True, text=True, check=False, timeout=40)
    assert done.returncode == code, done.stdout + done.stderr


def test_the_page_lists_every_exit_code():
    assert re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == [
        str(int(code)) for code in causes.CauseClass
    ]
