"""The answers of the real v1 server, recorded once and checked against it again by a slow test.

.venv-runtime/bin/python -m runtime.tests.conformance.recording   (in the checkout's root) writes them anew
"""

from __future__ import annotations

import json
from pathlib import Path

from runtime.tests.conformance.cases import Group
from runtime.tests.conformance.comparing import Fields, fields
from runtime.tests.conformance.groups import GROUPS
from runtime.tests.conformance.servers import Running, ask, theirs, until_healthy
from runtime.tests.conformance.v1_environment import v1_python

FILE = Path(__file__).with_name("recorded.json")

Answers = dict[str, Fields]
"""By case."""


def recorded(group: Group) -> Answers:
    """Return what the v1 server answered to a group's cases."""
    answers: dict[str, Answers] = json.loads(FILE.read_text(encoding="utf-8"))
    return answers[group.name]


def answers(running: Running, group: Group) -> Answers:
    """Ask a server all cases of a group, in order."""
    return {case.name: fields(ask(running.socket, case)) for case in group.cases}


def live(group: Group) -> Answers:
    """Ask the real v1 server."""
    with theirs(group, v1_python()) as running:
        until_healthy(running)
        return answers(running, group)


def main() -> None:
    """Write the recording anew."""
    made = {group.name: live(group) for group in GROUPS}
    FILE.write_text(spelled(made), encoding="utf-8")


def spelled(made: dict[str, Answers]) -> str:
    """Write answers as JSON with one line a case, so that a change reads well."""
    groups = []
    for name, cases in made.items():
        lines = [
            f"  {json.dumps(case)}: {json.dumps(answer, sort_keys=True)}" for case, answer in cases.items()
        ]
        groups.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(groups) + "\n}\n"


if __name__ == "__main__":
    main()
