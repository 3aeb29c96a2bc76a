"""One version of a model among many: where it stands between being a folder and being served.

UNLOADED -> LOADING -> READY -> UNLOADING -> UNLOADED
LOADING -> FAILED -> LOADING, from then on after ever longer pauses
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import math
import time

from modelyard_runtime.contract import ModelEntry, StartContract
from modelyard_runtime.scoring.catalog import Standing
from modelyard_runtime.scoring.evicting import Key, Resident
from modelyard_runtime.scoring.processes import ProcessPool
from modelyard_runtime.scoring.refusals import Unloadable

NAME_VARIABLE, VERSION_VARIABLE = "MODELYARD_MODEL_NAME", "MODELYARD_MODEL_VERSION"
"""By these a script knows which model it was started for."""


class State(enum.Enum):
    """The steps."""

    UNLOADED = enum.auto()
    LOADING = enum.auto()
    READY = enum.auto()
    UNLOADING = enum.auto()
    FAILED = enum.auto()


_UNAVAILABLE = "UNAVAILABLE"
"""The Open Inference Protocol's word for whatever is neither served nor on its way."""


class Place:
    """A model's state, and what is waited for. Only `OnDemand` moves it."""

    def __init__(self, model: ModelEntry) -> None:
        self.model = model
        self.state = State.UNLOADED
        self.reason = "it is loaded when it is asked for"
        self.pool: ProcessPool | None = None
        self.step: asyncio.Task[None] | None = None
        """Loads or unloads it."""
        self.waiting = 0
        """Requests for which it is loaded; it is not unloaded under their hands."""
        self.size_bytes = 0
        """What it held when last looked at; 0 = it was never loaded."""
        self.expected_bytes = 0
        """What is kept free for it while it loads."""
        self.failures = 0
        self._retry_at = -math.inf

    @property
    def key(self) -> Key:
        """Its name and version."""
        return self.model.name, self.model.version

    @property
    def standing(self) -> Standing:
        """Say how it stands."""
        if self.state is State.READY and not (self.pool is not None and self.pool.ready):
            return Standing(*self.key, _UNAVAILABLE, "its worker is being replaced")
        settled = self.state in (State.UNLOADED, State.FAILED)
        return Standing(*self.key, _UNAVAILABLE if settled else self.state.name, self.reason)

    @property
    def resident(self) -> Resident:
        """Say what it holds, and whether it may go."""
        pool = self.pool
        used_at = pool.used_at if pool is not None else math.inf
        kept = self.state is not State.READY or self.waiting > 0 or pool is None or pool.busy
        size = max(self.size_bytes, self.expected_bytes) if self.state is State.LOADING else self.size_bytes
        return Resident(self.key, size, used_at, kept)

    @property
    def may_be_tried(self) -> bool:
        """Whether a request may have it loaded now: one that has just failed is left alone for a while."""
        return self.state is State.UNLOADED or (
            self.state is State.FAILED and time.monotonic() >= self._retry_at
        )

    def enter(self, state: State, reason: str = "") -> None:
        """Take the next step."""
        self.state, self.reason = state, reason
        if state is State.READY:
            self.failures = 0

    def given_up(self, _step: asyncio.Task[None]) -> None:
        """Hear that a step is over. One that did not come to its end leaves nothing for which to wait."""
        if self.state in (State.LOADING, State.UNLOADING):
            self.enter(State.UNLOADED, f"its {self.state.name.lower()} was given up")

    def fail(self, cause: str, *, pause_s: float) -> None:
        """Note why it cannot be loaded, and for how long nobody need try."""
        self.failures += 1
        self._retry_at = time.monotonic() + pause_s
        self.enter(State.FAILED, cause)

    def refusal(self) -> Unloadable:
        """Say, to a request, that it cannot be loaded."""
        name, version = self.key
        left_s = max(1, math.ceil(self._retry_at - time.monotonic()))
        return Unloadable(
            f"model '{name}' version {version} cannot be loaded: {self.reason}", retry_after_s=left_s
        )

    def contract(self, replica: StartContract) -> StartContract:
        """Return the contract of its own workers: the replica's, with this one model."""
        variables = {NAME_VARIABLE: self.model.name, VERSION_VARIABLE: self.model.version}
        return dataclasses.replace(
            replica, model_dir=self.model.path, variables={**variables, **replica.variables}
        )
