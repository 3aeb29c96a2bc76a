"""Run as a script, `first.py PROGRAM ARGUMENT...`: a container's first process.

The kernel gives every orphan to the first process, and ends them all with it; and a signal that it does not handle
never reaches anybody. So this one passes signals on, collects whatever has ended, and ends as its program does.
Standard library only: it runs isolated, without site-packages, to start fast and stay small.
"""

from __future__ import annotations

import os
import signal
import sys

_PASSED_ON = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
_BY_SIGNAL = 128
"""What shells add to the number of the signal that ended a program."""


def main() -> int:
    """Start the program and return how it ended."""
    awaited = {*_PASSED_ON, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)  # none is lost, however early it comes
    program = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, setsigmask=())
    while True:
        got = signal.sigwait(awaited)
        if got in _PASSED_ON:
            os.kill(program, got)
        elif (status := _collect().get(program)) is not None:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else _BY_SIGNAL - code


def _collect() -> dict[int, int]:
    """Collect all that have ended: one SIGCHLD may stand for many."""
    ended: dict[int, int] = {}
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = found[1]
    except ChildProcessError:
        pass  # none is left
    return ended


if __name__ == "__main__":
    sys.exit(main())
