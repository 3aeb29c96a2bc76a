"""Solve a specification into a lock, together with what the runtime itself needs."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from modelyard.api import EnvironmentSpec, EnvironmentUnsolvable
from modelyard.environments.conflicts import explain
from modelyard.environments.interpreters import Interpreter, find_interpreter
from modelyard.environments.keys import normalised, spec_key
from modelyard.environments.locks import Lock, LockDamaged, make_lock, without
from modelyard.environments.records import LockRecords
from modelyard.environments.uv import OPTIONS, uv_binary, uv_environment
from modelyard.environments.wheels import NAME, RuntimeWheel, bundled_runtime
from modelyard.processes import Home, disk_errors, run

_SOLVE_SECONDS = 600.0
_COMPILE = ("--only-binary", ":all:", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")

OnLine = Callable[[str], None]


async def solve(  # noqa: PLR0913  all but one by keyword, four with a default
    spec: EnvironmentSpec,
    *,
    home: Home,
    records: LockRecords,
    refresh: bool = False,
    on_line: OnLine | None = None,
    interpreter: Interpreter | None = None,
    runtime: RuntimeWheel | None = None,
) -> Lock:
    """Return the lock of a specification: the recorded one, else (or with `refresh`) a fresh one.

    `interpreter` None = what `find_interpreter(spec.python)` gives; `runtime` None = the bundled wheel.
    """
    _refuse_what_uv_cannot(spec)
    python = (
        interpreter if interpreter is not None else await asyncio.to_thread(find_interpreter, spec.python)
    )
    wheel = runtime or bundled_runtime()
    key = spec_key(spec, python, wheel.digest)

    def lock_of(text: str) -> Lock:
        return make_lock(text, spec_key=key, interpreter=python, runtime_digest=wheel.digest)

    if not refresh and (recorded := await records.load(key)) is not None:
        try:
            return lock_of(recorded)
        except LockDamaged as error:
            _tell(on_line, f"the recorded lock is damaged and is solved again: {error}")
    lock = lock_of(without(await _compile(spec, python, wheel, home, on_line), NAME))
    await records.save(key, lock.text)
    return lock


async def _compile(
    spec: EnvironmentSpec, python: Interpreter, wheel: RuntimeWheel, home: Home, on_line: OnLine | None
) -> str:
    with disk_errors(home.cache):
        home.cache.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=home.cache, prefix="solving-")
    with folder as name:
        wanted, solved = Path(name) / "requirements.in", Path(name) / "requirements.txt"
        lines = [wheel.requirement, *normalised(spec.requirements)]
        with disk_errors(wanted):
            wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
        _tell(on_line, f"resolving {len(lines) - 1} requirements for Python {python.version}")
        done = await run(
            [
                *(uv_binary(), *OPTIONS, "pip", "compile", wanted.name, *_COMPILE),
                *("--python", str(python.path), "--output-file", solved.name),
            ],
            cwd=Path(name),
            env=uv_environment(),
            timeout_seconds=_SOLVE_SECONDS,
            on_line=on_line,
        )
        if done.status != 0:
            raise explain(done.output_tail, spec.requirements, wheel.requires)
        return solved.read_text(encoding="utf-8")


def _refuse_what_uv_cannot(spec: EnvironmentSpec) -> None:
    for name, value in (("conda", spec.conda), ("docker_steps", spec.docker_steps), ("base", spec.base)):
        if value:
            raise EnvironmentUnsolvable(
                f"an environment without an image cannot have `{name}`",
                place=f"environment.{name}",
                remedy="remove it, or choose a target that runs images",
            )


def _tell(on_line: OnLine | None, line: str) -> None:
    if on_line is not None:
        on_line(line)
