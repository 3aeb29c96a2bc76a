"""The life of a replica as a pure state machine: what happened in, what to do next out.

Time comes in with every event (monotonic seconds). The supervisor does what `Action` says.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from modelyard_runtime.causes import CauseClass
from modelyard_runtime.contract import StartContract

HEALTHY_S = 60.0
"""Ready this long, a death counts as the first again: the back-off starts small."""
IDLE_POLLS = 2
"""Idle twice in a row: the last answer has left Envoy's buffers too."""


class Phase(enum.Enum):
    """As `contract.ReplicaState.phase` spells them."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
    STOPPED = "stopped"


class Action(enum.Enum):
    """What the supervisor does about it."""

    START_SERVER = enum.auto()
    WARM_UP = enum.auto()
    TELL_DRAIN = enum.auto()
    STOP_SERVER = enum.auto()
    KILL_SERVER = enum.auto()
    EXIT = enum.auto()


@dataclass(frozen=True, slots=True)
class Polled:
    """The server's own word."""

    ready: bool
    in_flight: int


@dataclass(frozen=True, slots=True)
class WarmedUp:
    """The sample was scored, and `answer` is what came back; `cause` says why it was not."""

    cause: str = ""
    remedy: str = ""
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Failed:
    """The server died, or must: `init()` raised, memory ran out."""

    cause: str
    remedy: str = ""
    cause_class: CauseClass | None = None
    exit_status: int | None = None


@dataclass(frozen=True, slots=True)
class Probed:
    """One liveness probe."""

    alive: bool


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """Finish what runs, refuse what is new; then, with `stop`, end."""

    stop: bool


@dataclass(frozen=True, slots=True)
class StopAsked:
    """End at once."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Event = Polled | WarmedUp | Failed | Probed | DrainAsked | StopAsked | Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Where a replica stands."""

    phase: Phase = Phase.STARTING
    since_s: float = 0.0
    """When this phase began."""
    warming: bool = False
    served: bool = False
    """This server has been ready: it may have requests to finish, whatever the phase."""
    gone: bool = False
    """The server ended while it drained: there is none any more, and nothing to wait for."""
    stopping: bool = False
    misses: int = 0
    hits: int = 0
    in_flight: int = 0
    """Requests that the server had when it was last asked."""
    idle_polls: int = 0
    failures: int = 0
    """In a row; decides the back-off."""
    restarts: int = 0
    restart_at_s: float = 0.0
    cause: str = ""
    remedy: str = ""
    cause_class: CauseClass | None = None
    exit_status: int | None = None


Step = tuple[Life, tuple[Action, ...]]


def exit_status(life: Life) -> int:
    """Return 0 for an end that was asked for and cost nothing, else the number of what went wrong."""
    if life.cause_class is None or (life.served and life.cause_class is not CauseClass.REQUESTS_CUT):
        return 0
    return int(life.cause_class)


def begin(now_s: float) -> Step:
    """Start a life."""
    return Life(since_s=now_s), (Action.START_SERVER,)


def advance(  # noqa: PLR0911  # one return an event: a table, read downwards
    life: Life, event: Event, contract: StartContract, now_s: float
) -> Step:
    """Return the next state and what to do. An event that means nothing now changes nothing."""
    if life.phase is Phase.STOPPED:
        return life, ()
    match event:
        case StopAsked():
            return _stopped(_cut_short(life), now_s)
        case DrainAsked(stop):
            return _drain(life, now_s, stop=stop)
        case Failed():
            return _failed(life, event, contract, now_s)
        case Polled():
            return _polled(life, event, contract, now_s)
        case WarmedUp(cause, remedy):
            return _warmed_up(life, cause, remedy, contract, now_s)
        case Probed(alive):
            return _probed(life, contract, now_s, alive=alive)
        case Tick():
            return _tick(life, contract, now_s)


def _polled(life: Life, event: Polled, contract: StartContract, now_s: float) -> Step:
    life = replace(life, in_flight=event.in_flight)
    if life.phase is Phase.STARTING and event.ready and not life.warming:
        if contract.sample:
            return replace(life, warming=True), (Action.WARM_UP,)
        return _ready(life, now_s)
    if life.phase is Phase.READY and not event.ready:
        return replace(life, phase=Phase.STARTING, since_s=now_s), ()
    if life.phase is Phase.DRAINING:
        return _polled_while_draining(life, event, now_s)
    return life, ()


def _polled_while_draining(life: Life, event: Polled, now_s: float) -> Step:
    again = (Action.TELL_DRAIN,) if event.ready else ()  # it could not be told before it listened
    if not life.stopping:
        return life, again
    polls = 0 if event.in_flight else life.idle_polls + 1
    if polls >= IDLE_POLLS:
        return _stopped(life, now_s)
    return replace(life, idle_polls=polls), again


def _warmed_up(life: Life, cause: str, remedy: str, contract: StartContract, now_s: float) -> Step:
    if life.phase is not Phase.STARTING:
        return life, ()
    if cause:
        return _failed(life, Failed(cause, remedy, CauseClass.SAMPLE_FAILED), contract, now_s)
    return _ready(life, now_s)


def _probed(life: Life, contract: StartContract, now_s: float, *, alive: bool) -> Step:
    if life.phase is not Phase.READY:
        return life, ()
    if alive:
        hits = life.hits + 1
        return replace(
            life, hits=hits, misses=0 if hits >= contract.probe.success_threshold else life.misses
        ), ()
    misses = life.misses + 1
    if misses >= contract.probe.failure_threshold:
        cause = f"the liveness probe missed {misses} times in a row"
        failure = Failed(cause, "look for a blocked interpreter in the log", CauseClass.UNRESPONSIVE)
        return _failed(life, failure, contract, now_s)
    return replace(life, misses=misses, hits=0), ()


def _tick(life: Life, contract: StartContract, now_s: float) -> Step:
    spent_s = now_s - life.since_s
    if life.phase is Phase.STARTING and spent_s > contract.startup_timeout_s:
        what = "the warm-up sample was not scored" if life.warming else "init() did not finish"
        failure = Failed(
            f"{what} in {contract.startup_timeout_s:g} s",
            "make it faster, or raise the start-up limit",
            CauseClass.INIT_TIMED_OUT,
        )
        return _failed(life, failure, contract, now_s)
    if life.phase is Phase.FAILED and now_s >= life.restart_at_s:
        started = replace(
            life,
            phase=Phase.STARTING,
            since_s=now_s,
            warming=False,
            served=False,
            restarts=life.restarts + 1,
        )
        return started, (Action.START_SERVER,)
    if life.phase is Phase.DRAINING and life.stopping and spent_s > contract.drain_timeout_s:
        late = f"requests still ran {contract.drain_timeout_s:g} s after the drain began"
        return _stopped(_cut(life, late, "raise the drain's limit, or make run() faster"), now_s)
    return life, ()


def _drain(life: Life, now_s: float, *, stop: bool) -> Step:
    if life.phase is Phase.DRAINING:
        if stop and (life.stopping or life.gone):
            return _stopped(_cut_short(life), now_s)
        return replace(life, stopping=stop or life.stopping, since_s=now_s, idle_polls=0), ()
    may_be_busy = life.served and life.phase in (Phase.READY, Phase.STARTING)
    if may_be_busy or not stop:
        drained = replace(life, phase=Phase.DRAINING, since_s=now_s, stopping=stop, idle_polls=0)
        return drained, (Action.TELL_DRAIN,)
    return _stopped(life, now_s)


def _cut_short(life: Life) -> Life:
    """Note what an end that does not wait costs."""
    if not life.in_flight:
        return life
    cut = f"{life.in_flight} request{'s' if life.in_flight > 1 else ''} cut: the end was not to wait for them"
    return _cut(life, cut, "ask for the end once, and running requests end first")


def _cut(life: Life, cause: str, remedy: str) -> Life:
    return replace(life, cause=cause, remedy=remedy, cause_class=CauseClass.REQUESTS_CUT)


def _failed(life: Life, failure: Failed, contract: StartContract, now_s: float) -> Step:
    if life.phase is Phase.FAILED:
        return life, ()
    told = replace(
        life,
        cause=failure.cause,
        remedy=failure.remedy,
        cause_class=failure.cause_class,
        exit_status=failure.exit_status,
        in_flight=0,
    )
    if life.phase is Phase.DRAINING and life.stopping:
        return _stopped(told, now_s)
    if life.phase is Phase.DRAINING:
        return replace(told, gone=True), ()
    was_healthy = life.phase is Phase.READY and now_s - life.since_s >= HEALTHY_S
    failures = 1 if was_healthy else life.failures + 1
    waiting = replace(
        told,
        phase=Phase.FAILED,
        since_s=now_s,
        warming=False,
        failures=failures,
        restart_at_s=now_s + contract.backoff_s(failures),
    )
    return waiting, (Action.KILL_SERVER,)


def _ready(life: Life, now_s: float) -> Step:
    ready = replace(life, phase=Phase.READY, since_s=now_s, warming=False, served=True, misses=0, hits=0)
    return ready, ()


def _stopped(life: Life, now_s: float) -> Step:
    return replace(life, phase=Phase.STOPPED, since_s=now_s), (Action.STOP_SERVER, Action.EXIT)
