"""`modelyard-replica`: with one file, a target's replica; with a variable, a container's; with options, by hand.

What each of them needs is loaded when it is known which it is: a health check is asked every few seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

FROM_ENVIRONMENT = "--from-environment"
"""The contract is in a variable; the process may be the first of a container."""
HEALTH = "--health"
"""Ask the status port of the replica that was started so; exit 0 or 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """`modelyard-replica CONTRACT | --from-environment | --health`, or `modelyard-replica --code DIR ...`."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == [FROM_ENVIRONMENT]:
        from modelyard_runtime.replica import early

        early.listen()  # before all that takes time to load
        from modelyard_runtime.replica.contracts import run_environment

        return run_environment(early.came)
    if words == [HEALTH]:
        from modelyard_runtime.replica.health import check

        return check()
    if len(words) == 1 and not words[0].startswith("-"):
        from modelyard_runtime.replica.contracts import run_file

        return run_file(words[0])
    from modelyard_runtime.replica.by_hand import run_by_hand  # argparse: only where a person asks

    return run_by_hand(words)
