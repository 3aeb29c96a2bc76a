from __future__ import annotations

import json
import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import (
    Device,
    EngineStatus,
    Finding,
    KeyPair,
    Operation,
    Plan,
    PluginRecord,
    ScalingRecord,
    Secret,
    ServiceView,
)
from modelyard.client import wire
from modelyard.client.requests import RotateKeyRequest, ScaleRequest, ShutdownRequest, read_request

VALUES = [
    EngineStatus, Plan, Operation, ServiceView, KeyPair, ScalingRecord, PluginRecord, Device, Finding,
    ScaleRequest, RotateKeyRequest, ShutdownRequest,
]  # fmt: skip

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(Secret, st.text().map(Secret))
st.register_type_strategy(object, st.none() | st.booleans() | st.integers() | st.text())


@given(data=st.data())
@pytest.mark.parametrize("kind", VALUES)
def test_every_value_survives_the_wire(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(st.builds(kind, **{f.name: st.from_type(_hint(kind, f)) for f in attrs.fields(kind)}))
    assert wire.load(kind, wire.dump(value)) == value


def _hint(kind: type[Any], field: attrs.Attribute[Any]) -> Any:
    return attrs.resolve_types(kind) and getattr(attrs.fields(kind), field.name).type


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (ScalingRecord, {"at": "1"}),
        (Finding, {"check": "a", "subject": "b", "severity": "loud", "message": "m"}),
        (Finding, {"check": 1, "subject": "b", "severity": "ok", "message": "m"}),
        (Finding, []),
        (Finding, None),
        (ScaleRequest, {"replicas": True}),
        (ScaleRequest, {"replicas": 1.0}),
        (ShutdownRequest, {"stop_router": 1}),
        (type(None), {}),
    ],
)
def test_what_does_not_fit_is_an_error_and_not_a_guess(kind: type[Any], raw: object) -> None:
    with pytest.raises(wire.WireError):
        wire.from_raw(kind, raw)


def test_text_that_is_not_json_is_an_error() -> None:
    with pytest.raises(wire.WireError, match="not JSON"):
        wire.load(Finding, b"<html>")


def test_a_number_without_meaning_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        wire.dump({"x": math.nan})


def test_a_later_release_may_add_fields() -> None:
    raw = json.loads(wire.dump(ScaleRequest(replicas=2))) | {"surge": 1}
    assert wire.from_raw(ScaleRequest, raw) == ScaleRequest(replicas=2)


def test_a_request_with_an_unknown_key_names_the_known_ones() -> None:
    with pytest.raises(Exception, match="'surge'; known: maximum, minimum, replicas"):
        read_request(ScaleRequest, {"surge": 1})
