"""Show every difference of the groups named on the command line: what the table is written from.

.venv-runtime/bin/python -m runtime.tests.conformance.look [strict-v1] [process] [GROUP ...]
"""

from __future__ import annotations

import sys

from runtime.tests.conformance.cases import Group
from runtime.tests.conformance.comparing import differing
from runtime.tests.conformance.differences import judge
from runtime.tests.conformance.groups import GROUPS
from runtime.tests.conformance.listed import DIFFERENCES
from runtime.tests.conformance.recording import answers, recorded
from runtime.tests.conformance.servers import ours, until_healthy
from runtime.tests.conformance.v1_environment import v1_python

STRICT = "strict-v1"


def main(wanted: list[str]) -> None:
    """Print what differs and is not listed, and what is listed and does not differ; nothing is for strict-v1."""
    strict, process = (word in wanted for word in (STRICT, "process"))
    names = [name for name in wanted if name not in (STRICT, "process")]
    for group in GROUPS:
        if not names or group.name in names:
            _look(group, compat=STRICT if strict else "", process=process)


def _look(group: Group, *, compat: str, process: bool) -> None:
    with ours(group, compat=compat, worker_python=v1_python() if process else None) as running:
        try:
            until_healthy(running)
            seen = answers(running, group)
        except (AssertionError, OSError) as error:
            sys.stdout.write(f"## {group.name} is not served: {str(error)[-700:]}\n")
            return
    theirs = recorded(group)
    found = [one for case in theirs for one in differing(case, theirs[case], seen[case])]
    verdict = judge(group.name, found, () if compat else DIFFERENCES)
    for one in verdict.unlisted:
        sys.stdout.write(
            " | ".join((group.name, one.case, one.field, one.theirs[:300], one.ours[:300])) + "\n"
        )
    for entry, case in verdict.stale:
        sys.stdout.write(f"{group.name} | STALE | {case} | {entry.field}\n")
    sys.stdout.flush()


main(sys.argv[1:])
