"""Which environments a script gets: one together with the runtime, or one of its own beside the server's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import attrs

from modelyard.api import EnvironmentSpec, EnvironmentUnsolvable
from modelyard.environments.building import cached, ensure
from modelyard.environments.interpreters import Interpreter, find_interpreter, serves
from modelyard.environments.keys import spec_key
from modelyard.environments.locks import Lock
from modelyard.environments.records import LockRecords
from modelyard.environments.solving import NoLock, OnLine, known, solve, tell
from modelyard.environments.wheels import RuntimeWheel
from modelyard.processes import Home

Isolation = Literal["thread", "process"]
_SERVER = EnvironmentSpec()
"""The server's own environment has nothing of the user's, so all services share it."""


@attrs.frozen
class Shelf:
    """Where environments are kept, and what the runtime is.

    `frozen` solves nothing, `refresh` solves anew what is recorded.
    """

    home: Home
    records: LockRecords
    runtime: RuntimeWheel
    frozen: bool = False
    refresh: bool = False


@attrs.frozen
class Arrangement:
    """`lock` holds the script's packages: with the runtime's under "thread", alone under "process"."""

    isolation: Isolation
    lock: Lock
    interpreter: Interpreter
    why: str = ""
    """What kept the script out of the server's process."""


async def arrange(
    spec: EnvironmentSpec,
    isolation: Literal["auto", "thread", "process"],
    *,
    shelf: Shelf,
    on_line: OnLine | None = None,
) -> Arrangement:
    """Resolve what a script needs, by the record or afresh; `auto` = together where that can be.

    Raises `EnvironmentUnsolvable` when the script's packages do not resolve, with the runtime's or alone.
    """
    if isolation == "thread":
        return await _together(spec, shelf, on_line)
    if isolation == "process":
        return await _alone(spec, shelf, on_line, why="")
    if (why := await _why_not_together(spec, shelf)) is not None:
        return await _alone(spec, shelf, on_line, why=why)
    try:
        arrangement = await _together(spec, shelf, on_line)
    except NoLock:
        raise  # it does not mean that the two do not get along
    except EnvironmentUnsolvable as error:
        tell(on_line, "the packages do not resolve together with the runtime's: trying them alone")
        arrangement = await _alone(spec, shelf, on_line, why=error.message)
        # Only now: what does not resolve alone either is no conflict with the runtime.
        await _remember(spec, shelf, arrangement.why)
        return arrangement
    if shelf.refresh:
        await _forget_conflict(spec, shelf)
    return arrangement


async def is_built(arrangement: Arrangement, shelf: Shelf) -> bool:
    """Say whether every folder that the arrangement needs is there."""
    keys = [arrangement.lock.lock_key]
    if arrangement.isolation == "process":
        server = await known(_SERVER, await _interpreter(None), shelf.runtime, shelf.records)
        if server is None:
            return False
        keys.append(server.lock_key)
    return all([await asyncio.to_thread(cached, key, shelf.home) for key in keys])


async def build(
    arrangement: Arrangement, *, shelf: Shelf, on_line: OnLine | None = None
) -> tuple[Path, Path | None]:
    """Return the folders of the server's environment and of the script's own, None where it has none."""
    lock, interpreter = arrangement.lock, arrangement.interpreter
    if arrangement.isolation == "thread":
        folder = await ensure(lock, interpreter, runtime=shelf.runtime, home=shelf.home, on_line=on_line)
        return folder, None
    python = await _interpreter(None)
    server = await server_lock(shelf, on_line=on_line)
    front = await ensure(server, python, runtime=shelf.runtime, home=shelf.home, on_line=on_line)
    return front, await ensure(lock, interpreter, runtime=None, home=shelf.home, on_line=on_line)


async def server_lock(shelf: Shelf, *, on_line: OnLine | None = None) -> Lock:
    """Give the lock of the server's own environment, which stands beside every script's own."""
    python = await _interpreter(None)
    return await _solve(_SERVER, python, shelf, runtime=shelf.runtime, on_line=on_line)


async def _together(spec: EnvironmentSpec, shelf: Shelf, on_line: OnLine | None) -> Arrangement:
    interpreter = await _interpreter(spec.python)
    lock = await _solve(spec, interpreter, shelf, runtime=shelf.runtime, on_line=on_line)
    return Arrangement("thread", lock, interpreter)


async def _alone(spec: EnvironmentSpec, shelf: Shelf, on_line: OnLine | None, *, why: str) -> Arrangement:
    interpreter = await _interpreter(spec.python, serving=False)
    lock = await _solve(spec, interpreter, shelf, runtime=None, on_line=on_line)
    return Arrangement("process", lock, interpreter, why)


async def _solve(
    spec: EnvironmentSpec,
    interpreter: Interpreter,
    shelf: Shelf,
    *,
    runtime: RuntimeWheel | None,
    on_line: OnLine | None,
) -> Lock:
    return await solve(
        spec,
        interpreter=interpreter,
        runtime=runtime,
        home=shelf.home,
        records=shelf.records,
        frozen=shelf.frozen,
        refresh=shelf.refresh,
        on_line=on_line,
    )


async def _why_not_together(spec: EnvironmentSpec, shelf: Shelf) -> str | None:
    """Say what is known to keep them apart, without resolving anything; None = nothing is."""
    if not serves(spec.python):
        return f"Python {spec.python} cannot run the server"
    try:
        interpreter = await _interpreter(spec.python)
    except EnvironmentUnsolvable as error:
        return error.message
    if shelf.refresh:
        return None  # it is tried again
    return await shelf.records.load(_conflict_key(spec, interpreter, shelf)) or None


async def _remember(spec: EnvironmentSpec, shelf: Shelf, why: str) -> None:
    """Keep the conflict as a lock is kept: what was decided once stays so until something changes."""
    if serves(spec.python):
        interpreter = await _interpreter(spec.python)
        await shelf.records.save(_conflict_key(spec, interpreter, shelf), why)


async def _forget_conflict(spec: EnvironmentSpec, shelf: Shelf) -> None:
    """Empty the record: what once kept them apart is gone."""
    key = _conflict_key(spec, await _interpreter(spec.python), shelf)
    if await shelf.records.load(key):
        await shelf.records.save(key, "")


def _conflict_key(spec: EnvironmentSpec, interpreter: Interpreter, shelf: Shelf) -> str:
    return f"{spec_key(spec, interpreter, shelf.runtime.digest)}.conflict"


async def _interpreter(version: str | None, *, serving: bool = True) -> Interpreter:
    return await asyncio.to_thread(find_interpreter, version, serving=serving)
