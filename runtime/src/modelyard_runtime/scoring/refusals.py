"""Why a request was not, or not to the end, run by a worker. What the script itself did is `worker.failures`."""

from __future__ import annotations


class Refusal(Exception):
    """The front's own word; `str()` is for the client."""


class Overloaded(Refusal):
    """No slot and no place, or a place held too long. `retry_after_s`: when the queue will have drained."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TimedOut(Refusal):
    """The request's own time is over. `begun`: its `run()` had started."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


class Unready(Refusal):
    """No worker is there to take it: loading, failed, or closed."""


class Interrupted(Refusal):
    """Its worker was ended for what another request did; trying again is likely to go well."""


class Left(Refusal):
    """The client went away; nobody is left to be told."""


class Unknown(Refusal):
    """There is no such model, or no such version of it."""


class Unloadable(Refusal):
    """A model could not be loaded; it is tried again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
