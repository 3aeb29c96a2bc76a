"""Lay a locked environment out as the tree that an image will hold at its final prefix.

Built beside its place with uv and renamed there when whole. The same lock for the same place gives
the same tree, byte for byte, whatever the folder, umask, time or order of installation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from modelyard.api import BasePython, EnvironmentUnsolvable, ModelyardError
from modelyard.environments.bases import (
    Place,
    check_compiler,
    check_place,
    no_compiler,
    uv_platform,
)
from modelyard.environments.checking import check_tree
from modelyard.environments.compiling import compile_tree
from modelyard.environments.conflicts import reason
from modelyard.environments.installed import overlapping, too_new_or_old, write_records
from modelyard.environments.interpreters import Interpreter, find_interpreter
from modelyard.environments.locks import Lock, only
from modelyard.environments.settling import fix_modes, make_frame, settle
from modelyard.environments.solving import OnLine, tell
from modelyard.environments.steps import failure, uv_step
from modelyard.environments.trees import making
from modelyard.environments.wheels import RuntimeWheel
from modelyard.processes import disk_errors

_MARK = PurePosixPath("pyvenv.cfg")
_LINKED = ("--link-mode", "hardlink")
"""Where the cache is on another disk uv copies."""


async def lay_out(  # noqa: PLR0913  all but two by keyword
    lock: Lock,
    folder: Path,
    *,
    prefix: PurePosixPath,
    python: BasePython,
    runtime: RuntimeWheel | None,
    wheels: Sequence[Path] = (),
    system_packages: bool = False,
    on_line: OnLine | None = None,
) -> None:
    """Make `folder` what an image with the base's `python` shall hold at `prefix`; replaces an older tree.

    Installs wheels only, for the base's version and platform: those of the lock, then the files in `wheels`,
    without asking what these need. `runtime` None = not in it. With `system_packages` what is installed with the
    base's Python is seen there too, as conda's is. The tree's files may be those of uv's cache under another name:
    they may be replaced and must not be written into. Raises `EnvironmentUnsolvable` where lock and base do not fit
    each other, `Conflict` where `folder` holds something else; nothing half made is ever at `folder`.
    """
    place = Place(prefix, python, system_packages=system_packages)
    check_place(place, serving=runtime is not None)
    platform = uv_platform(python)
    compiler = await compiler_for(python)
    async with making(folder, mark=_MARK) as building:
        tell(on_line, f"laying out {len(lock.packages)} packages at {prefix} for {python.shown}")
        await _Installer(building, place, compiler, platform, on_line).install(
            lock, [*([runtime.path] if runtime else []), *wheels]
        )
        await _finish(building, place, compiler, on_line)


class _Installer:
    """Calls uv for one tree: wheels for the base, with hashes.

    What uv keeps unpacked is linked, not copied: 250 MB less to write, and nothing here writes into such a file.
    """

    def __init__(
        self, building: Path, place: Place, compiler: Interpreter, platform: str, on_line: OnLine | None
    ) -> None:
        self._building, self._place, self._on_line = building, place, on_line
        self._tree = building / "tree"
        self._arguments = [
            *("pip", "install", "--no-deps", *_LINKED, "--no-compile-bytecode"),
            *("--prefix", str(self._tree), "--python", str(compiler.path)),
            *("--python-version", place.base.version, "--python-platform", platform),
        ]

    async def install(self, lock: Lock, wheels: Sequence[Path]) -> None:
        """Install the lock's packages, then wheels that lie here."""
        with disk_errors(self._tree):
            await asyncio.to_thread(make_frame, self._tree, self._place)
        if lock.packages:
            await self._pins(lock.text)
        # uv installs many wheels at once: where two bring the same file, the later by name shall win.
        for name in await asyncio.to_thread(overlapping, self._tree / self._place.site):
            tell(self._on_line, f"{name} brings files that another package brings too: installing it again")
            await self._pins(only(lock.text, name), "--reinstall")
        if wheels:
            await self._uv("--no-index", *map(str, wheels))

    async def _pins(self, text: str, *options: str) -> None:
        pins = self._building / "lock.txt"
        with disk_errors(pins):
            pins.write_text(text, encoding="utf-8")
        await self._uv("--require-hashes", "--only-binary", ":all:", *options, "-r", str(pins))

    async def _uv(self, *options: str) -> None:
        arguments = [*self._arguments, *options]
        await uv_step(arguments, self._building, self._on_line, explain=self._explain)

    def _explain(self, output: str, folder: Path) -> ModelyardError:
        if "no solution found" not in output.lower():
            return failure(output, folder)
        return _unfit(self._place, reason(output))


def _unfit(place: Place, why: str) -> EnvironmentUnsolvable:
    return EnvironmentUnsolvable(
        f"the lock does not fit {place.base.shown}: {why}",
        place="environment.requirements",
        remedy="solve the environment for this base, or choose a base that its packages have wheels for",
    )


async def compiler_for(python: BasePython) -> Interpreter:
    """Find a Python of this machine that writes the base's byte code; raises `EnvironmentUnsolvable`."""
    try:
        found = await asyncio.to_thread(find_interpreter, python.minor, serving=False)
    except EnvironmentUnsolvable as error:
        raise no_compiler(python, error.message) from error
    check_compiler(found, python)
    return found


async def _finish(building: Path, place: Place, compiler: Interpreter, on_line: OnLine | None) -> None:
    tree = building / "tree"
    if refusing := await asyncio.to_thread(too_new_or_old, tree / place.site, place.base.version):
        raise _unfit(place, ", ".join(refusing))
    with disk_errors(tree):
        await asyncio.to_thread(settle, tree, place, compiler.path)
    tell(on_line, f"compiling for Python {place.base.minor}")
    await _compile(tree, place, compiler, on_line)
    with disk_errors(tree):
        await asyncio.to_thread(fix_modes, tree)
    await asyncio.to_thread(check_tree, tree, place, built_in=building, built_by=compiler.path)


async def _compile(tree: Path, place: Place, compiler: Interpreter, on_line: OnLine | None) -> None:
    """Compile, and write the records meanwhile, which do not tell of byte code."""
    recording = asyncio.create_task(asyncio.to_thread(write_records, tree, place.site))
    recording.add_done_callback(lambda one: one.cancelled() or one.exception())  # the first failure is told
    try:
        await compile_tree(tree, place, compiler, on_line)
    finally:
        await asyncio.wait([recording])  # no thread can be stopped, and the tree is removed after an error
    with disk_errors(tree):
        await recording
