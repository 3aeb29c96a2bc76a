"""Operations of a running engine: looked at, followed to their end, cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from modelyard.api import Operation, Unavailable
from modelyard.client import failures, paths
from modelyard.client.transport import Transport


class Operations:
    """What `Client` does with operations."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, operation_id: str) -> Operation:
        """Look at an operation once."""
        return self._transport.ask(Operation, "GET", paths.operation(operation_id))

    def watch(self, operation_id: str) -> Iterator[Operation]:
        """Yield the operation at each change until it is finished."""
        for operation in self._events(operation_id):
            if operation is not None:
                yield operation

    def cancel(self, operation_id: str) -> Operation:
        """Ask for an end."""
        return self._transport.ask(Operation, "POST", paths.operation(operation_id, "cancel"))

    def wait(
        self,
        operation_id: str,
        *,
        timeout_seconds: float | None,
        on_change: Callable[[Operation], None] | None,
    ) -> Operation:
        """Return the operation once it succeeded; raises the error it failed with, and `Unavailable` in time."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        for operation in self._events(operation_id):
            if operation is not None and on_change is not None:
                on_change(operation)
            if operation is not None and operation.finished:
                return _succeeded(operation)
            if deadline is not None and time.monotonic() > deadline:
                raise Unavailable(
                    f"operation {operation_id} is still running after {timeout_seconds:g} s",
                    place=f"operation {operation_id}",
                    remedy="it goes on without you: wait for it again, or cancel it",
                )
        return _succeeded(self.get(operation_id))

    def _events(self, operation_id: str) -> Iterator[Operation | None]:
        """Give each change, and None now and then where nothing changes."""
        return self._transport.stream(Operation, paths.operation(operation_id, "events"))


def _succeeded(operation: Operation) -> Operation:
    error = failures.error_of(operation)
    if error is not None:
        raise error
    if not operation.finished:
        raise Unavailable(
            "the engine stopped while the operation ran",
            place=f"operation {operation.id}",
            remedy="run `engine up`: the operation is taken up again",
        )
    return operation
