"""Operations are followed to their end, and an end that nobody saw is no success."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import attrs
import pytest
from modelyard.api import NotFound, Operation, OperationKind, OperationState, Unavailable
from modelyard.client import paths
from modelyard.client.operations import Operations
from modelyard.client.transport import Transport

RUNNING = Operation("op", "digits", OperationKind.DEPLOY, OperationState.RUNNING, 1)
DONE = attrs.evolve(RUNNING, state=OperationState.SUCCEEDED)
FAILED = attrs.evolve(
    RUNNING, state=OperationState.FAILED, error_code="unavailable", error="no place", remedy="make one"
)


@attrs.define
class Engine:
    """Answers with what it was told; `seen` is what is there when it is asked once more."""

    events: list[Operation | None]
    seen: Operation = RUNNING
    asked: list[str] = attrs.field(factory=list)

    def ask(self, _kind: type, method: str, path: str, **_: Any) -> Operation:
        self.asked.append(f"{method} {path}")
        return self.seen

    def stream(self, _kind: type, path: str) -> Iterator[Operation | None]:
        self.asked.append(path)
        yield from self.events

    @property
    def operations(self) -> Operations:
        return Operations(cast("Transport", self))


def test_an_operation_is_followed_until_it_succeeded() -> None:
    told: list[Operation] = []
    engine = Engine([RUNNING, None, DONE, RUNNING])
    assert engine.operations.wait("op", timeout_seconds=None, on_change=told.append) == DONE
    assert told == [RUNNING, DONE]
    assert engine.asked == ["/v1/operations/op/events"]


def test_the_error_that_an_operation_failed_with_is_raised() -> None:
    with pytest.raises(Unavailable, match="no place") as caught:
        Engine([FAILED]).operations.wait("op", timeout_seconds=None, on_change=None)
    assert caught.value.remedy == "make one"


def test_an_operation_that_ends_with_its_controller_is_unavailable_and_not_a_success() -> None:
    with pytest.raises(Unavailable, match="stopped while"):
        Engine([RUNNING]).operations.wait("op", timeout_seconds=None, on_change=None)


def test_an_end_that_came_as_the_connection_broke_is_asked_for() -> None:
    engine = Engine([RUNNING], seen=DONE)
    assert engine.operations.wait("op", timeout_seconds=None, on_change=None) == DONE


def test_who_has_no_time_left_is_told_that_the_operation_goes_on() -> None:
    with pytest.raises(Unavailable, match="still running") as caught:
        Engine([None, DONE]).operations.wait("op", timeout_seconds=-1, on_change=None)
    assert "goes on without you" in caught.value.remedy


def test_signs_of_life_are_no_changes() -> None:
    assert list(Engine([None, RUNNING, None, DONE]).operations.watch("op")) == [RUNNING, DONE]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_not_asked_for(name: str) -> None:
    with pytest.raises(NotFound):
        paths.service(name)
    with pytest.raises(NotFound):
        paths.operation(name)


def test_whatever_stands_in_a_name_stays_one_part_of_the_path() -> None:
    assert paths.service("a/../b?c", "logs") == "/v1/services/a%2F..%2Fb%3Fc/logs"
