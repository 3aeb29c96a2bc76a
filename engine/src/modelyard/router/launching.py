"""Run as a script, `launching.py PID_FILE PROGRAM ARGUMENT...`: start a program as nobody's child.

Envoy asks the kernel for SIGTERM on the death of the process that started it. A router's parent that is
killed would so take Envoy along, and every request in flight. Started by this, which is gone before
Envoy begins, it stays. Standard library only: it runs isolated, without site-packages, to start fast.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_POLL_SECONDS = 0.001


def main() -> None:
    """Fork; the child waits until it is an orphan, tells its pid, and becomes the program."""
    pid_file, program = Path(sys.argv[1]), sys.argv[2:]
    launcher = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == launcher:
        time.sleep(_POLL_SECONDS)
    written = pid_file.with_suffix(".new")
    written.write_text(str(os.getpid()), encoding="ascii")
    written.replace(pid_file)
    os.execv(program[0], program)  # noqa: S606 an argv list, no shell


if __name__ == "__main__":
    main()
