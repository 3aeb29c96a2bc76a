"""Which environments an image gets for a script: one together with the runtime, or one of its own beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Literal

import attrs

from modelyard.api import BasePython, EnvironmentUnsolvable, OnLine, PipLayer
from modelyard.environments import LockRecords, NoLock, RuntimeWheel, check_base, solve_for_base
from modelyard.images.keys import Inputs, image_spec_key
from modelyard.images.places import ENVIRONMENT, SCRIPT_ENVIRONMENT
from modelyard.images.pythons import choose_python
from modelyard.processes import Home

Isolation = Literal["thread", "process"]


@attrs.frozen
class Desk:
    """What arranging works with. `frozen` solves nothing, `refresh` solves anew what is recorded."""

    home: Home
    records: LockRecords
    runtime: RuntimeWheel
    on_line: OnLine
    frozen: bool = False
    refresh: bool = False


@attrs.frozen
class ImageArrangement:
    """`why` says what kept the script out of the server's process."""

    isolation: Isolation
    pips: tuple[PipLayer, ...]
    why: str = ""


async def arrange_image(
    inputs: Inputs,
    pythons: Sequence[BasePython],
    isolation: Literal["auto", "thread", "process"],
    *,
    desk: Desk,
) -> ImageArrangement:
    """Resolve what a script needs on a base, by the record or afresh; `auto` = together where that can be.

    Raises `ImageUnbuildable` where the base has no such Python, `EnvironmentUnsolvable` where packages do not
    resolve, with the runtime's or alone.
    """
    arranger = _Arranger(inputs, tuple(pythons), desk)
    if isolation == "thread":
        return await arranger.together()
    if isolation == "process":
        return await arranger.alone("")
    if (why := await arranger.why_not_together()) is not None:
        return await arranger.alone(why)
    try:
        arrangement = await arranger.together()
    except NoLock:
        raise  # it does not mean that the two do not get along
    except EnvironmentUnsolvable as error:
        desk.on_line("the packages do not resolve together with the runtime's: trying them alone")
        arrangement = await arranger.alone(error.message)
        # Only now: what does not resolve alone either is no conflict with the runtime.
        await arranger.remember(arrangement.why)
        return arrangement
    if desk.refresh:
        await arranger.forget_conflict()
    return arrangement


@attrs.frozen
class _Arranger:
    inputs: Inputs
    pythons: tuple[BasePython, ...]
    desk: Desk

    async def together(self) -> ImageArrangement:
        python = self._python(self.inputs.spec.python, serving=True)
        check_base(python, ENVIRONMENT, serving=True)
        lock = await self._solve(self.inputs, python, with_runtime=True)
        return ImageArrangement("thread", (_layer(ENVIRONMENT, python, lock, serving=True),))

    async def alone(self, why: str) -> ImageArrangement:
        server, script = self._server_python(), self._python(self.inputs.spec.python, serving=False)
        check_base(server, ENVIRONMENT, serving=True)
        check_base(script, SCRIPT_ENVIRONMENT, serving=False)
        front = await self._solve(self._of_server(), server, with_runtime=True)
        own = await self._solve(self.inputs, script, with_runtime=False)
        pips = (
            _layer(ENVIRONMENT, server, front, serving=True),
            _layer(SCRIPT_ENVIRONMENT, script, own, serving=False),
        )
        return ImageArrangement("process", pips, why)

    async def why_not_together(self) -> str | None:
        """Say what is known to keep them apart, without resolving anything; None = nothing is."""
        python = self._python(self.inputs.spec.python, serving=True)
        try:
            check_base(python, ENVIRONMENT, serving=True)
        except EnvironmentUnsolvable as error:
            return error.message
        if self.desk.refresh:
            return None  # it is tried again
        return await self.desk.records.load(self._conflict_key()) or None

    async def remember(self, why: str) -> None:
        """Keep the conflict as a lock is kept: what was decided once stays so until something changes."""
        await self.desk.records.save(self._conflict_key(), why)

    async def forget_conflict(self) -> None:
        """Empty the record: what once kept them apart is gone."""
        if await self.desk.records.load(self._conflict_key()):
            await self.desk.records.save(self._conflict_key(), "")

    def _server_python(self) -> BasePython:
        """Take the script's Python where the server can run in it, else any of the base's that it can."""
        script = self._python(self.inputs.spec.python, serving=True)
        for python in (script, *self.pythons):
            try:
                check_base(python, ENVIRONMENT, serving=True)
            except EnvironmentUnsolvable:
                continue
            return python
        return script  # it is refused with its own reason

    def _python(self, wanted: str | None, *, serving: bool) -> BasePython:
        base = self.inputs.spec.base or self.inputs.base
        return choose_python(self.pythons, wanted, serving=serving, base=base)

    def _of_server(self) -> Inputs:
        """The server's own environment has nothing of the user's, so all services on a base share its lock."""
        empty = attrs.evolve(self.inputs.spec, requirements=(), conda=None, python=None)
        return attrs.evolve(self.inputs, spec=empty)

    async def _solve(self, inputs: Inputs, python: BasePython, *, with_runtime: bool) -> str:
        runtime = self.desk.runtime if with_runtime else None
        return await solve_for_base(
            inputs.spec.requirements,
            python,
            key=self._key(inputs, runtime.requires if runtime else ()),
            runtime=runtime,
            home=self.desk.home,
            records=self.desk.records,
            frozen=self.desk.frozen,
            refresh=self.desk.refresh,
            on_line=self.desk.on_line,
        )

    def _key(self, inputs: Inputs, runtime: Iterable[str]) -> str:
        return image_spec_key(inputs, runtime=runtime)

    def _conflict_key(self) -> str:
        return f"{self._key(self.inputs, self.desk.runtime.requires)}.conflict"


def _layer(prefix: PurePosixPath, python: BasePython, lock: str, *, serving: bool) -> PipLayer:
    return PipLayer(prefix=prefix, python=python, lock=lock, serving=serving)
