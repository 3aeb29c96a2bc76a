"""Places where a test may let the controller fail: `MODELYARD_FAILPOINT=deploy.start:kill` (or `:error`).

The one place that reads the variable. Unset, as in every real life, a failpoint does nothing.
"""

from __future__ import annotations

import os
import signal

from modelyard.api import SystemError_

VARIABLE = "MODELYARD_FAILPOINT"


def reach(point: str) -> None:
    """Pass a failpoint: go on, die at once, or raise, as the environment says."""
    wanted, _, act = os.environ.get(VARIABLE, "").partition(":")
    if wanted != point:
        return
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise SystemError_(f"failpoint {point}", place=VARIABLE, remedy=f"unset {VARIABLE}")
