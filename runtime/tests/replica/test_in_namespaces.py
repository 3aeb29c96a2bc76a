"""What only a container has: a process 1, a root that is read-only, a user without a name, a limit of its own.

Namespaces and a control group stand in for the container; they need root.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from modelyard_runtime.replica.memory import MemoryGroup, make_group

from runtime.tests.replica.containers import contained
from runtime.tests.worker.wheels import write_wheel


def can_make_namespaces() -> bool:
    """Whether this user may, and has the program for it."""
    program = shutil.which("unshare")
    words = [program or "false", "--mount", "--pid", "--fork", "true"]
    return program is not None and subprocess.run(words, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or not can_make_namespaces(),
        reason="needs root and `unshare`, to make namespaces",
    ),
]

FIRST = ("unshare", "--pid", "--fork", "--mount-proc")
_LAY_OUT = """
mount --make-rprivate /
mount -t tmpfs -o ro none /dev/shm
mkdir FOLDER/run
RUN_FOLDER
grep -q ' /tmp ' /proc/mounts && mount -o remount,bind,ro /tmp
mount -o remount,bind,ro /
! touch FOLDER/code/x 2>/dev/null
exec setpriv --reuid 65532 --regid 65532 --clear-groups --inh-caps +dac_read_search \
  --ambient-caps +dac_read_search "$@"
"""
"""May read everything, as the folders of this checkout may be closed, and writes nowhere but in its run folder."""
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c")
READ_ONLY = (
    *_NAMESPACES,
    _LAY_OUT.replace("RUN_FOLDER", "mount -t tmpfs -o mode=1777 none FOLDER/run"),
    "sh",
)
ALL_READ_ONLY = (*_NAMESPACES, _LAY_OUT.replace("RUN_FOLDER", ""), "sh")
ECHO = "import json\ndef init(): pass\ndef run(data): return json.loads(data)\n"


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs `setpriv`, to be another user")
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_user_without_a_name_on_a_read_only_root_serves(isolation: str):
    script = """
import getpass, os, pathlib, tempfile
def init():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
def run(data):
    return [getpass.getuser(), str(pathlib.Path.home()), tempfile.gettempdir(), os.getuid(), os.environ.get("USER")]
"""
    with contained(script, inside=READ_ONLY, isolation=isolation) as one:
        one.ready()
        home, temporary = str(one.run_dir / "home"), str(one.run_dir / "tmp")
        assert json.loads(one.ask("POST", "/score", b"x")[1]) == ["65532", home, temporary, 65532, "65532"]
        os.kill(one.parent(), signal.SIGTERM)
        assert one.process.wait(20) == 0
        assert "Traceback" not in one.log


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs `setpriv`, to be another user")
def test_extra_packages_are_installed_below_the_run_folder(tmp_path: Path):
    root = Path(__file__).parents[3]
    uv = shutil.which("uv", path=f"{root / '.venv' / 'bin'}:{os.environ['PATH']}")
    assert uv is not None, "make .venv-runtime/ready installs it"
    write_wheel(tmp_path)
    with contained(
        "import extra_thing\ndef init(): pass\ndef run(data): return extra_thing.__file__\n",
        files={"extra.txt": f"--no-index\n--find-links {tmp_path}\nextra-thing\n"},
        inside=READ_ONLY,
        isolation="process",
        variables={"UV": uv, "AZUREML_EXTRA_REQUIREMENTS_TXT": "extra.txt"},
    ) as one:
        one.ready()
        where = json.loads(one.ask("POST", "/score", b"x")[1])
        assert where == f"{one.run_dir}/packages/extra_thing.py"


def test_a_run_folder_on_a_read_only_root_is_named():
    with contained(ECHO, inside=ALL_READ_ONLY) as one:
        assert one.process.wait(20) == 19
        assert f"run_dir {one.run_dir} cannot be written to by user 65532: Read-only file system" in one.log


def test_a_first_process_hears_a_stop_as_soon_as_it_can_hear_anything():
    with contained("import time\ndef init(): time.sleep(60)\ndef run(data): return 1\n", inside=FIRST) as one:
        pid = one.parent()
        until(lambda: catches(pid, signal.SIGTERM))
        os.kill(pid, signal.SIGTERM)
        assert one.process.wait(20) == 0
        assert one.log == "modelyard-replica: stopped\n"


def catches(pid: int, number: signal.Signals) -> bool:
    told = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(told["SigCgt"], 16) & 1 << (number - 1))


def until(true: Callable[[], object], *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


ORPHANS = """
import os, subprocess, sys
LEAVE = '''
import os, time
for _ in range(10):
    if not os.fork():
        os.setsid()
        time.sleep(0.2)
        os._exit(0)
'''
def init(): pass
def run(data):
    subprocess.run([sys.executable, "-c", LEAVE], check=True)
    return 1
"""


def test_a_first_process_takes_in_what_scripts_leave_behind():
    with contained(ORPHANS, inside=FIRST) as one:
        one.ready()
        parent = one.parent()
        assert one.ask("POST", "/score", b"x") == (200, b"1")
        children = Path(f"/proc/{parent}/task/{parent}/children")
        until(lambda: len(children.read_text().split()) > 1)  # they have come to the first process
        until(lambda: len(children.read_text().split()) == 1)
        assert one.status() is not None
        os.kill(parent, signal.SIGTERM)
        assert one.process.wait(20) == 0


def test_a_first_process_drains_on_sigusr1_and_restarts_a_server_that_dies():
    with contained(ECHO, inside=FIRST) as one:
        one.ready()
        parent = one.parent()
        [server] = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        os.kill(int(server), signal.SIGKILL)
        again = one.until(lambda status: status.restarts == 1 and status.phase == "ready")
        assert again.cause == "the server was killed by SIGKILL"
        os.kill(parent, signal.SIGUSR1)
        one.until(lambda status: status.phase == "draining")
        assert one.ask("POST", "/score", b"1")[0] == 503
        os.kill(parent, signal.SIGTERM)
        assert one.process.wait(20) == 0


@pytest.fixture
def limit() -> Iterator[MemoryGroup]:
    """A control group of 320 MiB, as a container has one."""
    group = make_group(f"test-{uuid.uuid4().hex[:8]}", 320 << 20)
    if group is None:
        pytest.skip("needs a control group of memory to write to")
    yield group
    group.remove()


GREEDY = "def init(): pass\ndef run(data):\n    held = b'x' * (600 << 20)\n    return len(held)\n"


def test_a_server_killed_for_the_containers_limit_is_reported_as_that(limit: MemoryGroup):
    enter = ("sh", "-c", f'echo $$ > {limit.procs} && exec "$@"', "sh")
    with contained(GREEDY, inside=enter) as one:
        one.ready()
        with pytest.raises((OSError, http.client.HTTPException)):
            one.ask("POST", "/score", b"x")
        again = one.until(lambda status: status.restarts == 1 and status.phase == "ready")
        assert (again.cause, again.cause_class) == ("killed: memory limit 320Mi exceeded", "out-of-memory")
