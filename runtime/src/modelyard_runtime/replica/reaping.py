"""Taking in the dead that nobody waits for: the first process of a container inherits every orphan in it."""

from __future__ import annotations

import contextlib
import os


def reap(own: int) -> None:
    """Reap every dead child but `own`, whose status somebody else waits for; never blocks.

    Where `own` is the next to be reaped, the others are left to the next call.
    """
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if dead.si_pid == own:
                return
            os.waitpid(dead.si_pid, 0)
