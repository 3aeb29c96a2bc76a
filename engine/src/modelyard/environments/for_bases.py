"""Solve for the Python of a base image, which need not be, or even run, on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from modelyard.api import BasePython
from modelyard.environments.bases import uv_platform
from modelyard.environments.locks import LockDamaged, parse_pins, render
from modelyard.environments.preinstalled import Preinstalled
from modelyard.environments.records import LockRecords
from modelyard.environments.solving import Asked, OnLine, Python, compile_lock, no_lock, tell
from modelyard.environments.wheels import RuntimeWheel
from modelyard.processes import Home


async def solve_for_base(  # noqa: PLR0913  all but two by keyword
    asked: Asked,
    python: BasePython,
    *,
    key: str,
    runtime: RuntimeWheel | None,
    home: Home,
    records: LockRecords,
    preinstalled: Sequence[Preinstalled] = (),
    frozen: bool = False,
    refresh: bool = False,
    on_line: OnLine | None = None,
) -> str:
    """Return the canonical lock recorded under `key`, else (or with `refresh`) a fresh one, then recorded.

    `runtime` None = the script's packages alone. What is `preinstalled`, as conda's packages are, holds and is
    not in the lock; `key` must speak of it too. `frozen` solves nothing: it raises `NoLock`. Raises
    `EnvironmentUnsolvable` else.
    """
    if not refresh and (recorded := await recorded_lock(key, records, on_line)) is not None:
        return recorded
    if frozen:
        raise no_lock(python.shown)
    options = ("--python", sys.executable, "--python-version", python.version)
    target = Python(python, (*options, "--python-platform", uv_platform(python)))
    solved = await compile_lock(
        asked, target, runtime=runtime, preinstalled=preinstalled, home=home, on_line=on_line
    )
    text = render(parse_pins(solved))
    await records.save(key, text)
    return text


async def recorded_lock(key: str, records: LockRecords, on_line: OnLine | None = None) -> str | None:
    """Return the lock recorded under a key; None when there is none, or a damaged one."""
    text = await records.load(key)
    try:
        return render(parse_pins(text)) if text is not None else None
    except LockDamaged as error:
        tell(on_line, f"the recorded lock is damaged and is solved again: {error}")
        return None
