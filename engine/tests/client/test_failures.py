from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard import api
from modelyard.api import (
    DeployFailed,
    EnvironmentUnsolvable,
    ModelyardError,
    Operation,
    OperationKind,
    OperationState,
    Refused,
    SystemError_,
    UserError,
)
from modelyard.client import failures

OPERATION = Operation("op-1", "digits", OperationKind.DEPLOY, OperationState.RUNNING, 1)
KINDS = [kind for kind in vars(api).values() if isinstance(kind, type) and issubclass(kind, ModelyardError)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not ModelyardError])
def test_every_code_of_the_error_tree_comes_back_as_its_class(kind: type[ModelyardError]) -> None:
    raw = {"code": kind.code, "message": "m", "place": "p", "remedy": "r", "details": []}
    error = failures.error_from_raw(raw)
    assert type(error) is kind
    assert (error.message, error.place, error.remedy, error.code) == ("m", "p", "r", kind.code)
    assert failures.error_to_raw(error) | {"details": []} == raw


@pytest.mark.parametrize(("status", "side"), [(409, UserError), (503, SystemError_)])
def test_a_code_of_a_later_release_keeps_its_side_of_the_tree(status: int, side: type[Exception]) -> None:
    error = failures.error_from_raw({"code": "quota", "message": "m"}, status=status)
    assert isinstance(error, side)
    assert error.code == "quota"


@given(
    raw=st.recursive(
        st.none() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_nonsense_becomes_an_error_too(raw: object) -> None:
    assert failures.error_from_raw(raw).message


def test_a_failed_operation_becomes_the_error_it_failed_with() -> None:
    failed = attrs.evolve(
        OPERATION,
        state=OperationState.FAILED,
        error_code="environment_unsolvable",
        error="numpy==99 does not exist",
        place="environment.requirements",
        remedy="ask for another",
    )
    error = failures.error_of(failed)
    assert type(error) is EnvironmentUnsolvable
    assert str(error) == "numpy==99 does not exist (environment.requirements); ask for another"


def test_an_operation_that_failed_without_a_code_is_a_failed_deploy() -> None:
    assert type(failures.error_of(attrs.evolve(OPERATION, state=OperationState.FAILED))) is DeployFailed


def test_an_operation_refused_late_is_refused_without_details() -> None:
    failed = attrs.evolve(OPERATION, state=OperationState.FAILED, error_code="refused", error="no room")
    error = failures.error_of(failed)
    assert isinstance(error, Refused)
    assert (error.message, error.details()) == ("no room", [])


def test_a_cancelled_operation_is_a_user_error_of_its_own_code() -> None:
    error = failures.error_of(attrs.evolve(OPERATION, state=OperationState.CANCELLED))
    assert isinstance(error, UserError)
    assert error.code == failures.CANCELLED


@pytest.mark.parametrize("state", [OperationState.RUNNING, OperationState.SUCCEEDED])
def test_an_operation_that_did_not_fail_has_no_error(state: OperationState) -> None:
    assert failures.error_of(attrs.evolve(OPERATION, state=state)) is None
