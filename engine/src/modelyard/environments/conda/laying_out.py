"""Lay a locked conda environment out as the tree that an image will hold at its final prefix.

rattler links the packages, with the final prefix in their files; no script of theirs is run. The same
lock for the same prefix gives the same tree, byte for byte, wherever it is made.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from modelyard.api import EnvironmentUnsolvable
from modelyard.environments.bases import Place, check_prefix
from modelyard.environments.compiling import compile_tree
from modelyard.environments.conda import linking
from modelyard.environments.conda.caches import cache_folder
from modelyard.environments.conda.channels import Channel
from modelyard.environments.conda.explaining import unlinkable
from modelyard.environments.conda.fetching import fetch_packages
from modelyard.environments.conda.linking import Job
from modelyard.environments.conda.locks import CondaLock
from modelyard.environments.conda.pythons import locked_python, python_of
from modelyard.environments.conda.settings import CondaSettings, read_settings
from modelyard.environments.conda.settling import MARK, check_settled, scripts_left_out, settle, shadowed
from modelyard.environments.conda.solving import Sources, sources_of
from modelyard.environments.conda.specs import CondaSpec
from modelyard.environments.laying_out import compiler_for
from modelyard.environments.settling import fix_modes
from modelyard.environments.solving import OnLine, tell
from modelyard.environments.steps import STEP_SECONDS, last_words
from modelyard.environments.trees import making
from modelyard.processes import Home, disk_errors, run


async def lay_out_conda(  # noqa: PLR0913  all but two by keyword
    lock: CondaLock,
    folder: Path,
    *,
    prefix: PurePosixPath,
    spec: CondaSpec,
    home: Home,
    settings: CondaSettings | None = None,
    on_line: OnLine | None = None,
) -> None:
    """Make `folder` what an image shall hold at `prefix` for a lock; replaces an older tree.

    `spec` is what the lock was solved for: its channels' credentials are shown to them again; `settings`
    None = the user's own (`.condarc`). Raises `EnvironmentUnsolvable` for a package that was replaced, is
    gone or may not be linked, and where no Python here compiles for the environment's; `UserError` and
    `Unavailable` as `solve_conda`; `Conflict` where `folder` holds something else. Nothing half made is
    ever at `folder`.
    """
    check_prefix(prefix)
    if settings is None:
        settings = await asyncio.to_thread(read_settings, os.environ)
    channels = _channels(lock, sources_of(spec, settings), settings)
    python = locked_python(lock, prefix=prefix)
    compiler = await compiler_for(python) if python is not None else None
    async with making(folder, mark=MARK) as building:
        kept = await asyncio.to_thread(cache_folder, home, "packages")
        archives = await fetch_packages(lock.packages, channels, kept, on_line)
        tell(on_line, f"laying out {len(lock.packages)} conda packages at {prefix}")
        await _link(lock, building, prefix, archives)
        tree = building / "tree"
        for script in await asyncio.to_thread(scripts_left_out, tree):
            tell(on_line, f"not run: {script}; what it would do is not in the image")
        for file in await asyncio.to_thread(shadowed, tree):
            tell(on_line, f"left out: {file}, for another package has it too")
        with disk_errors(tree):
            await asyncio.to_thread(settle, tree, lock)
        if python is not None and compiler is not None:
            await asyncio.to_thread(python_of, lock, tree, prefix=prefix)
            tell(on_line, f"compiling for Python {python.minor}")
            await compile_tree(tree, Place(prefix, python), compiler, on_line)
        with disk_errors(tree):
            await asyncio.to_thread(fix_modes, tree)
        held = [one.credential for one in channels if one.credential is not None]
        await asyncio.to_thread(check_settled, tree, prefix, built_in=building, credentials=held)


def _channels(lock: CondaLock, sources: Sources, settings: CondaSettings) -> tuple[Channel, ...]:
    """Add channels that the lock names and the conda file does not, with what is stored for them."""
    urls = {one.url for one in sources.channels}
    more = sorted({one.channel for one in lock.packages if one.channel} - urls)
    return (*sources.channels, *(Channel(url, settings.credential(url)) for url in more))


async def _link(lock: CondaLock, building: Path, prefix: PurePosixPath, archives: Mapping[str, Path]) -> None:
    job = Job(
        tree=building / "tree",
        prefix=str(prefix),
        cache=building / "extracted",
        subdir=lock.subdir,
        packages=lock.packages,
        archives=tuple(archives[one.name] for one in lock.packages),
    )
    with disk_errors(building):
        for empty in (job.tree, job.cache):
            await asyncio.to_thread(empty.mkdir)
        await asyncio.to_thread(job.write, building / "job.json")
    program = [sys.executable, "-P", "-m", linking.PROGRAM, str(building / "job.json"), str(os.getpid())]
    done = await run(program, cwd=building, timeout_seconds=STEP_SECONDS)
    if done.status == linking.REFUSED:
        raise EnvironmentUnsolvable(
            last_words(done.output_tail),
            place="environment.conda.dependencies",
            remedy="leave the package out, and tell who keeps its channel",
        )
    if done.status != 0:
        raise unlinkable(done.output_tail or f"status {done.status}", building)
    # Files were linked to what was extracted: from here on they are the tree's own.
    await asyncio.to_thread(shutil.rmtree, job.cache)
