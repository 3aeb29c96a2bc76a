"""Solve a specification into a lock, together with what the runtime itself needs or without it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import attrs

from modelyard.api import BasePython, EnvironmentSpec, EnvironmentUnsolvable, LockFile
from modelyard.environments.calling import run_uv
from modelyard.environments.conflicts import explain
from modelyard.environments.interpreters import Interpreter
from modelyard.environments.keys import normalised, spec_key
from modelyard.environments.lock_files import check_target, held
from modelyard.environments.locks import Lock, LockDamaged, make_lock, without
from modelyard.environments.preinstalled import Preinstalled, constrained, explained
from modelyard.environments.records import LockRecords
from modelyard.environments.wheels import NAME, RuntimeWheel
from modelyard.processes import Home, disk_errors, scratch

_SOLVE_SECONDS = 600.0
_COMPILE = ("--only-binary", ":all:", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")

OnLine = Callable[[str], None]


@attrs.frozen
class Python:
    """What is solved for: a version, and the options by which uv knows it."""

    facts: BasePython
    options: tuple[str, ...]


@attrs.frozen
class Asked:
    """What packages are asked for: by requirements, by a lock file, or by both."""

    requirements: tuple[str, ...] = ()
    lock_file: LockFile | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """Give all of it as requirements."""
        locked = self.lock_file.packages if self.lock_file else ()
        return (*self.requirements, *(package.line for package in locked))

    @property
    def is_locked(self) -> bool:
        """Say whether the lock file decides alone."""
        return self.lock_file is not None and not self.requirements


async def solve(  # noqa: PLR0913  all but one by keyword, two with a default
    spec: EnvironmentSpec,
    *,
    interpreter: Interpreter,
    runtime: RuntimeWheel | None,
    home: Home,
    records: LockRecords,
    frozen: bool = False,
    refresh: bool = False,
    on_line: OnLine | None = None,
) -> Lock:
    """Return the lock of a specification: the recorded one, else (or with `refresh`) a fresh one.

    `runtime` None = the script's packages alone. `frozen` solves nothing: it raises `NoLock`.
    """
    if not refresh and (recorded := await known(spec, interpreter, runtime, records, on_line)) is not None:
        return recorded
    if frozen:
        raise no_lock(f"Python {interpreter.version} of this machine")
    target = Python(_facts(interpreter), ("--python", str(interpreter.path)))
    asked = Asked(spec.requirements, spec.lock_file)
    text = await compile_lock(asked, target, runtime=runtime, home=home, on_line=on_line)
    lock = _lock(text, spec, interpreter, runtime)
    await records.save(lock.spec_key, lock.text)
    return lock


async def known(
    spec: EnvironmentSpec,
    interpreter: Interpreter,
    runtime: RuntimeWheel | None,
    records: LockRecords,
    on_line: OnLine | None = None,
) -> Lock | None:
    """Return the recorded lock of a specification; None when there is none, or a damaged one."""
    refuse_what_uv_cannot(spec)
    text = await records.load(spec_key(spec, interpreter, digest_of(runtime)))
    if text is None:
        return None
    try:
        return _lock(text, spec, interpreter, runtime)
    except LockDamaged as error:
        tell(on_line, f"the recorded lock is damaged and is solved again: {error}")
        return None


def _facts(interpreter: Interpreter) -> BasePython:
    return BasePython(
        path=PurePosixPath(interpreter.path.as_posix()),
        version=interpreter.version,
        abi=interpreter.abi,
        libc=interpreter.libc,
        machine=platform.machine(),
        shared_libpython=interpreter.shared_libpython,
        system=platform.system().lower(),
    )


def digest_of(runtime: RuntimeWheel | None) -> str:
    """Give what stands for the runtime in keys; nothing where it is not in the environment."""
    return runtime.digest if runtime is not None else ""


class NoLock(EnvironmentUnsolvable):
    """Nothing may be solved, and nothing was: it says nothing of whether it could be."""


def no_lock(python: str) -> NoLock:
    """Say that no lock is stored for a Python, named as messages do."""
    return NoLock(
        f"no lock is stored for these packages on {python}, and --frozen solves nothing",
        place="environment",
        remedy="run `engine images lock` for this service, or leave --frozen out",
    )


def tell(on_line: OnLine | None, line: str) -> None:
    """Pass a line of progress on, to whoever listens."""
    if on_line is not None:
        on_line(line)


def _lock(text: str, spec: EnvironmentSpec, interpreter: Interpreter, runtime: RuntimeWheel | None) -> Lock:
    digest = digest_of(runtime)
    key = spec_key(spec, interpreter, digest)
    return make_lock(text, spec_key=key, interpreter=interpreter, runtime_digest=digest)


async def compile_lock(
    asked: Asked,
    python: Python,
    *,
    runtime: RuntimeWheel | None,
    home: Home,
    preinstalled: Sequence[Preinstalled] = (),
    on_line: OnLine | None = None,
) -> str:
    """Have uv solve what is asked for, with the runtime's or without; gives its text less the runtime itself.

    What is `preinstalled`, as conda's packages are, holds: nothing is locked that needs it otherwise, and it is
    not in the lock itself. Nothing is added to what a lock file names but what the runtime needs.
    """
    if asked.lock_file is not None:
        check_target(asked.lock_file, python.facts)
    with scratch(home.cache, "solving") as folder:
        wanted, solved = folder / "requirements.in", folder / "requirements.txt"
        lines = normalised(asked.lines)
        tell(on_line, f"resolving {len(lines)} requirements for Python {python.facts.version}")
        if runtime is not None:
            lines.insert(0, runtime.requirement)
        with disk_errors(wanted):
            wanted.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        done = await run_uv(
            [
                *("pip", "compile", wanted.name, *_COMPILE),
                *(*python.options, "--output-file", solved.name),
                *constrained(preinstalled, folder),
                *(["--no-deps"] if asked.is_locked and runtime is None else []),
            ],
            cwd=folder,
            timeout_seconds=_SOLVE_SECONDS,
            on_line=on_line,
        )
        if done.status != 0:
            error = explain(done.output_tail, asked.lines, runtime.requires if runtime else ())
            raise explained(error, preinstalled)
        text = without(solved.read_text(encoding="utf-8"), NAME)
        return held(text, asked.lock_file) if asked.lock_file else text


def refuse_what_uv_cannot(spec: EnvironmentSpec) -> None:
    """Raise `EnvironmentUnsolvable` for what only an image can have."""
    for name in ("conda", "docker_steps", "dockerfile", "base"):
        if getattr(spec, name):
            raise EnvironmentUnsolvable(
                f"an environment without an image cannot have `{name}`",
                place=f"environment.{name}",
                remedy="remove it, or choose a target that runs images",
            )
