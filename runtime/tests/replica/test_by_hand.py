"""A replica that a person starts: the commands of docs/how-to/run-one-replica.md."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
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


NAP = """
import json, time
def init(): pass
def run(data):
    time.sleep(json.loads(data))
    return 1
"""


def started(
    folder: Path, *more: str, script: str = NAP, **environment: str
) -> tuple[subprocess.Popen[str], str]:
    """Start one and wait until it is ready; returns its `/score`."""
    (folder / "service" / "score.py").write_text(script)
    process = subprocess.Popen(
        [PROGRAM, "--code", "service", "--port", "0", "--json", *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "ready":
            return process, event["urls"]["score"]
    raise AssertionError("it ended before it was ready")


def running(url: str, seconds: float) -> threading.Thread:
    """Have a request run."""

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            urllib.request.urlopen(url, str(seconds).encode(), timeout=20).close()  # noqa: S310  # our own address

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    return thread


def test_a_second_ctrl_c_ends_at_once_and_says_what_it_cut(folder: Path):
    replica, url = started(folder)
    asking = running(url, 20)
    replica.send_signal(signal.SIGINT)
    assert replica.stdout is not None
    while json.loads(replica.stdout.readline())["event"] != "draining":
        pass
    time.sleep(0.2)
    replica.send_signal(signal.SIGINT)
    told = [json.loads(line) for line in replica.stdout]
    assert replica.wait(10) == 23
    (cut,) = (event for event in told if event["event"] == "cut")
    assert cut["cause"].startswith("1 request cut")
    assert told[-1] == {**told[-1], "event": "stopped", "exit_code": 23}
    asking.join(10)
    replica.stdout.close()


def test_a_drain_that_takes_too_long_says_what_it_cut(folder: Path):
    replica, url = started(folder, "--drain-timeout", "0.3")
    asking = running(url, 20)
    replica.send_signal(signal.SIGTERM)
    assert replica.wait(10) == 23
    asking.join(10)
    assert replica.stdout is not None
    replica.stdout.close()


def test_the_folder_of_a_killed_one_is_removed_by_the_next_with_all_that_runs_for_it(folder: Path):
    script = (
        "import pathlib, subprocess, sys\ndef init():\n"
        "    p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'], start_new_session=True)\n"
        "    pathlib.Path('child').write_text(str(p.pid))\ndef run(data): return 1\n"
    )
    short = tempfile.mkdtemp(dir="/tmp")
    try:
        killed, _ = started(folder, script=script, TMPDIR=short)
        child = int((folder / "service" / "child").read_text())
        killed.kill()
        killed.communicate()
        (left,) = Path(short).glob("replica-*")
        following, url = started(folder, TMPDIR=short)
        assert not left.exists()
        assert len(list(Path(short).glob("replica-*"))) == 1
        assert not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes()
        beside, _ = started(folder, TMPDIR=short)
        urllib.request.urlopen(url, b"0", timeout=10).close()  # noqa: S310  # the folder of one that lives stays
        for one in (following, beside):
            one.terminate()
            one.communicate()
        assert not list(Path(short).iterdir())
    finally:
        shutil.rmtree(short)


def test_a_folder_laid_out_by_v1_is_served_as_it_is(folder: Path):
    (folder / "root" / "azureml-models" / "m" / "4").mkdir(parents=True)
    (folder / "root" / "azureml-models" / "m" / "4" / "w.txt").write_text("weights")
    script = (
        "import os\nfrom azureml.core.model import Model\ndef init(): pass\n"
        "def run(data): return [os.listdir(os.environ['AZUREML_MODEL_DIR']), open(Model.get_model_path('m')).read()]\n"
    )
    replica, url = started(folder, "--app-root", "root", script=script)
    with urllib.request.urlopen(url, b"0", timeout=10) as answer:  # noqa: S310  # our own address
        assert json.loads(answer.read()) == [["w.txt"], "weights"]
    replica.terminate()
    replica.communicate()


@pytest.mark.parametrize(
    ("script", "sample", "more", "code"),
    [
        ("def init(): pass\ndef run(data): raise ValueError\n", "1", (), 21),
        (
            "import time\ndef init(): time.sleep(60)\ndef run(data): return 1\n",
            "1",
            ("--startup-timeout", "1"),
            16,
        ),
    ],
)
def test_a_check_that_fails_exits_with_its_class(
    folder: Path, script: str, sample: str, more: tuple[str, ...], code: int
):
    (folder / "service" / "score.py").write_text(script)
    (folder / "sample.json").write_text(sample)
    command = [
        PROGRAM,
        "--code",
        "service",
        "--port",
        "0",
        "--sample",
        "sample.json",
        "--check",
        "--json",
        *more,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=40)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    failed = next(event for event in told if event["event"] == "failed")
    assert (done.returncode, failed["exit_code"]) == (code, code)
    assert failed["cause"]
    assert failed["remedy"]
