"""Which environments an image gets for a script: one together with the runtime, or one of its own beside it."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Literal

import attrs

from modelyard.api import BasePython, EnvironmentUnsolvable, OnLine, PipLayer
from modelyard.environments import (
    Asked,
    LockRecords,
    NoLock,
    RuntimeWheel,
    check_base,
    recorded_lock,
    solve_for_base,
)
from modelyard.images.descriptions import CondaFacts
from modelyard.images.keys import Inputs, image_spec_key
from modelyard.images.places import ENVIRONMENT, SCRIPT_ENVIRONMENT
from modelyard.images.pythons import choose_python
from modelyard.images.servers import choose_server
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
class Ground:
    """What packages of pip are solved for: the Pythons there are, and what conda installed before.

    `key` tells it from any other ground: a base with what was done to it.
    """

    key: str
    pythons: tuple[BasePython, ...]
    conda: CondaFacts | None = None


@attrs.frozen
class ImageArrangement:
    """`why` says what kept the script out of the server's process."""

    isolation: Isolation
    pips: tuple[PipLayer, ...]
    why: str = ""


async def arrange_image(
    inputs: Inputs,
    ground: Ground,
    isolation: Literal["auto", "thread", "process"],
    *,
    desk: Desk,
) -> ImageArrangement:
    """Resolve what a script needs on a base, by the record or afresh; `auto` = together where that can be.

    Raises `ImageUnbuildable` where the base has no such Python, `EnvironmentUnsolvable` where it has none for
    the server and where packages do not resolve, with the runtime's or alone.
    """
    arranger = _Arranger(inputs, ground, desk)
    if isolation == "thread":
        return await arranger.together()
    if isolation == "process":
        return await arranger.alone("")
    why, lock = await asyncio.gather(arranger.why_not_together(), arranger.recorded())
    if why is not None:
        return await arranger.alone(why)
    try:
        arrangement = await arranger.together(lock)
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
    ground: Ground
    desk: Desk

    async def together(self, lock: str | None = None) -> ImageArrangement:
        """Resolve all in one, unless it was found recorded as `lock`; None = nobody has looked."""
        python = self._python(serving=True)
        check_base(python, ENVIRONMENT, serving=True)
        return ImageArrangement("thread", (await self._layer(ENVIRONMENT, python, serving=True, lock=lock),))

    async def recorded(self) -> str:
        """Give the lock that is recorded for all in one; empty = it is to be resolved."""
        if self.desk.refresh:
            return ""
        key = image_spec_key(self._solved_for(own=True), runtime=self.desk.runtime.requires)
        return await recorded_lock(key, self.desk.records, self.desk.on_line) or ""

    async def alone(self, why: str) -> ImageArrangement:
        server, script = self._server_python(), self._python(serving=False)
        check_base(script, SCRIPT_ENVIRONMENT, serving=False)
        pips = (
            await self._layer(ENVIRONMENT, server, serving=True, own=False),
            await self._layer(SCRIPT_ENVIRONMENT, script, serving=False),
        )
        return ImageArrangement("process", pips, why)

    async def why_not_together(self) -> str | None:
        """Say what is known to keep them apart, without resolving anything; None = nothing is."""
        python = self._python(serving=True)
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
        return choose_server((self._python(serving=True), *self.ground.pythons), self.inputs.spec)

    def _python(self, *, serving: bool) -> BasePython:
        """Choose the script's: conda's, where it has one, was asked for there."""
        if self.ground.conda is not None and self.ground.conda.python is not None:
            return self.ground.conda.python
        base = self.inputs.spec.base or self.inputs.base
        return choose_python(self.ground.pythons, self.inputs.spec.python, serving=serving, base=base)

    async def _layer(
        self,
        prefix: PurePosixPath,
        python: BasePython,
        *,
        serving: bool,
        own: bool = True,
        lock: str | None = None,
    ) -> PipLayer:
        """Solve what lies at a prefix: the script's `own` packages, the server's where it is `serving`."""
        conda = self.ground.conda if own else None
        on_top = conda is not None and conda.python == python
        runtime = self.desk.runtime if serving else None
        inputs = self._solved_for(own=own)
        lock = lock or await solve_for_base(
            Asked(inputs.spec.requirements, inputs.spec.lock_file),
            python,
            key=image_spec_key(inputs, runtime=runtime.requires if runtime else ()),
            runtime=runtime,
            home=self.desk.home,
            records=self.desk.records,
            preinstalled=conda.preinstalled if conda is not None and on_top else (),
            frozen=self.desk.frozen,
            refresh=self.desk.refresh or lock is not None,
            on_line=self.desk.on_line,
        )
        return PipLayer(prefix, python, lock, serving=serving, system_packages=on_top)

    def _solved_for(self, *, own: bool) -> Inputs:
        """Say what is asked for on this ground; the server's own has nothing of the user's, so services share it."""
        inputs = attrs.evolve(self.inputs, base=self.ground.key)
        if own:
            return inputs
        empty = attrs.evolve(inputs.spec, requirements=(), lock_file=None, conda=None, python=None)
        return attrs.evolve(inputs, spec=empty)

    def _conflict_key(self) -> str:
        key = image_spec_key(self._solved_for(own=True), runtime=self.desk.runtime.requires)
        return f"{key}.conflict"
