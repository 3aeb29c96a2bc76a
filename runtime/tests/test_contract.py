"""The contract in a variable, and a container's status: what is whole comes back, all else is refused."""

from __future__ import annotations

import dataclasses
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.contract import (
    MAX_VARIABLE_BYTES,
    START_VARIABLE,
    Batching,
    ContractError,
    ModelEntry,
    Probe,
    ReplicaStatus,
    StartContract,
    decode_contract,
    encode_contract,
    encode_status,
    read_status,
)

CONTRACT = StartContract(
    service="s", revision=1, replica="r", run_dir="/r", log_dir="", code_dir="/c", entry="score.py"
)
STATUS = ReplicaStatus(
    service="s",
    revision=1,
    replica="r",
    phase="ready",
    parent_pid=1,
    parent_start_ticks=7,
    running=2,
    queued=0,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.dictionaries(st.text(string.ascii_uppercase, min_size=1, max_size=5), TEXT),
    st.lists(st.builds(ModelEntry, name=TEXT, version=TEXT, path=TEXT), max_size=3),
    st.integers(0, 65535),
)
def test_a_contract_comes_through_a_variable_as_it_was(
    variables: dict[str, str], models: list[ModelEntry], port: int
):
    sent = dataclasses.replace(
        CONTRACT,
        variables=variables,
        models=tuple(models),
        status_port=port,
        probe=Probe(period_s=3),
        batching=Batching(max_size=4),
        cors_origins=("*",),
    )
    text = encode_contract(sent)
    assert "\0" not in text
    assert decode_contract(text) == sent


def test_a_contract_that_no_variable_can_hold_is_refused_before_the_kernel_does():
    room = MAX_VARIABLE_BYTES - len(START_VARIABLE) - 1 - len(encode_contract(CONTRACT)) - len('"A":""')
    fits = dataclasses.replace(CONTRACT, variables={"A": "x" * room})
    assert decode_contract(encode_contract(fits)) == fits
    with pytest.raises(ContractError, match="a variable holds 131055: serve fewer models"):
        encode_contract(dataclasses.replace(CONTRACT, variables={"A": "x" * (room + 1)}))


def changed(text: str, **fields: Any) -> str:
    return json.dumps(json.loads(text) | fields)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "MODELYARD_START: Expecting value"),
        ("{", "MODELYARD_START: Expecting property name"),
        ("[]", "not a version 1 contract"),
        (changed(encode_contract(CONTRACT), version=2), "not a version 1 contract"),
        (changed(encode_contract(CONTRACT), colour="red"), "unexpected keyword argument 'colour'"),
        (
            changed(encode_contract(CONTRACT), probe=3),
            "MODELYARD_START: .* argument after \\*\\* must be a mapping",
        ),
        (json.dumps({"version": 1}), "missing 7 required keyword-only arguments"),
    ],
)
def test_what_is_no_contract_is_refused_with_the_variables_name(text: str, reason: str):
    with pytest.raises(ContractError, match=reason):
        decode_contract(text)


def test_a_status_comes_back_as_it_was():
    assert read_status(encode_status(STATUS)) == STATUS


@pytest.mark.parametrize(
    "fields",
    [
        {"running": "2"},
        {"running": True},
        {"parent_pid": None},
        {"cause": 3},
        {"version": 2},
        {"colour": "red"},
        {"started_at": float("nan")},
        {"phase": ["ready"]},
    ],
)
def test_a_status_with_a_field_that_is_none_of_its_kind_is_refused(fields: dict[str, Any]):
    with pytest.raises(ContractError, match="the replica's status"):
        read_status(changed(encode_status(STATUS).decode(), **fields).encode())


@given(st.binary(max_size=200) | st.just(b"[" * 100_000))
def test_bytes_that_are_no_status_are_refused(body: bytes):
    with pytest.raises(ContractError):
        read_status(body)
