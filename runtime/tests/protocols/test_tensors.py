"""Tensors: every datatype, raw and as values; shapes that nobody could hold."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from modelyard_runtime.oip.datatypes import BYTES, DATATYPES, MAX_ELEMENTS, MAX_RANK, OipError
from modelyard_runtime.oip.tensors import (
    from_items,
    from_raw,
    from_values,
    pack_bf16,
    to_values,
)
from modelyard_runtime.worker.nested import elements, packed
from modelyard_runtime.worker.requests import Tensor

DTYPES = {
    "BOOL": np.bool_,
    **{
        f"{sign}INT{bits}": f"<{sign.lower() or 'i'}{bits // 8}"
        for sign in ("U", "")
        for bits in (8, 16, 32, 64)
    },
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    "BF16": ml_dtypes.bfloat16,
}
FINITE = {"allow_nan": False, "allow_infinity": False}


def numbers(datatype: str, **more: Any) -> Any:
    if datatype == "BF16":
        return arrays.arrays(np.float32, shapes(), elements=st.floats(-(2.0**126), 2.0**126, width=32)).map(
            lambda array: array.astype(ml_dtypes.bfloat16)
        )
    dtype = np.dtype(DTYPES[datatype])
    return arrays.arrays(
        dtype, shapes(), elements=arrays.from_dtype(dtype, **(more if dtype.kind == "f" else {}))
    )


def shapes() -> Any:
    return arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


def outcome(make: Any) -> tuple[Tensor | None, str]:
    """Return a tensor, or where the mistake is; any other exception is a failure."""
    try:
        made = make()
    except OipError as error:
        return None, error.place
    return made, "inputs[0]"


cases = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: st.tuples(st.just(name), numbers(name, **FINITE))
)


def test_there_is_a_dtype_in_these_tests_for_every_datatype():
    assert set(DTYPES) | {BYTES} == set(DATATYPES)


@given(st.sampled_from(sorted(DTYPES)).flatmap(lambda name: st.tuples(st.just(name), numbers(name))))
def test_raw_bytes_are_taken_as_a_view(case: Any):
    name, array = case
    data = memoryview(array.tobytes())
    tensor = from_raw("x", name, array.shape, data, place="inputs[0]")
    assert tensor.data is data
    assert tensor.shape == array.shape


@given(case=cases, flat=st.booleans())
def test_values_flat_or_nested_become_the_bytes_that_numpy_would_write(case: Any, *, flat: bool):
    name, array = case
    listed = (array.ravel() if flat else array).tolist()
    assert from_values("x", name, array.shape, listed, place="inputs[0]").data == array.tobytes()


@given(cases)
def test_values_read_back_are_the_array(case: Any):
    name, array = case
    tensor = from_raw("x", name, array.shape, array.tobytes(), place="inputs[0]")
    assert list(to_values(tensor)) == array.ravel().tolist()


@given(st.lists(st.floats(width=32), min_size=1))
def test_bf16_rounds_as_ml_dtypes_does(values: list[float]):
    with np.errstate(over="ignore"):
        expected = np.array(values, np.float32).astype(ml_dtypes.bfloat16)
    finite = np.isfinite(np.array(values, np.float32))
    if (finite & ~np.isfinite(expected.astype(np.float32))).any():
        with pytest.raises(OverflowError):
            pack_bf16(values)
        return
    found = np.frombuffer(pack_bf16(values), ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(found, expected.astype(np.float32))


@given(st.lists(st.text()))
def test_text_survives_raw_and_as_values(texts: list[str]):
    tensor = from_values("x", BYTES, (len(texts),), texts, place="inputs[0]")
    assert to_values(from_raw("x", BYTES, (len(texts),), tensor.data, place="inputs[0]")) == texts


@given(st.lists(st.binary()))
def test_bytes_survive_as_typed_items(items: list[bytes]):
    tensor = from_items("x", BYTES, (len(items),), items, place="inputs[0]")
    assert list(elements(tensor.data)) == items


@given(
    st.binary(max_size=40),
    st.lists(st.integers(-2, 2**62), max_size=4),
    st.sampled_from([*sorted(DATATYPES), "X"]),
)
def test_any_bytes_give_a_tensor_or_an_oip_error_with_its_place(raw: Any, shape: Any, datatype: Any):
    tensor, place = outcome(lambda: from_raw("x", datatype, tuple(shape), raw, place="inputs[0]"))
    assert place.startswith("inputs[0]")
    if tensor is None:
        return
    assert len(to_values(tensor)) == np.prod(shape, dtype=object) if datatype != BYTES else True


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
        max_leaves=8,
    ),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(sorted(DATATYPES)),
)
def test_any_json_gives_a_tensor_or_an_oip_error(values: Any, shape: Any, datatype: Any):
    tensor, place = outcome(lambda: from_values("x", datatype, tuple(shape), values, place="inputs[0]"))
    assert place.startswith("inputs[0]")
    if tensor is not None:
        assert from_raw("x", datatype, tuple(shape), tensor.data, place="inputs[0]") == tensor


@pytest.mark.parametrize(
    ("datatype", "shape", "values", "place"),
    [
        ("INT8", (1,), [128], "inputs[0].data[0]"),
        ("UINT8", (2,), [0, -1], "inputs[0].data[1]"),
        ("INT32", (1,), [1.5], "inputs[0].data[0]"),
        ("INT64", (1,), [True], "inputs[0].data[0]"),
        ("FP32", (1,), ["1"], "inputs[0].data[0]"),
        ("FP32", (1,), [1e39], "inputs[0].data[0]"),
        ("FP16", (1,), [65520.0], "inputs[0].data[0]"),
        ("BF16", (1,), [3.4e38], "inputs[0].data[0]"),
        ("FP64", (1,), [10**400], "inputs[0].data[0]"),
        ("FP32", (2,), [1.0], "inputs[0]"),
        ("FP32", (2, 2), [[1, 2], [3]], "inputs[0].data"),
        ("FP32", (2,), [1, [2]], "inputs[0].data[1]"),
        ("FP32", (-1,), [1.0], "inputs[0].shape"),
        ("FP32", (1 << 62, 4, 0), [], "inputs[0].shape"),
        ("BOOL", (1,), [1], "inputs[0].data[0]"),
        ("BYTES", (1,), [5], "inputs[0].data[0]"),
        ("FP32", (1,), [None], "inputs[0].data[0]"),
        ("FP31", (1,), [1.0], "inputs[0].datatype"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_their_place(
    datatype: Any, shape: Any, values: Any, place: Any
):
    with pytest.raises(OipError) as caught:
        from_values("x", datatype, shape, values, place="inputs[0]")
    assert caught.value.place == place


@pytest.mark.parametrize(
    "shape",
    [(-1,), (MAX_ELEMENTS + 1,), (1 << 31, 0), (1 << 16, 1 << 15), (1 << 32, 1 << 31), (1,) * (MAX_RANK + 1)],
)
def test_shapes_that_nobody_could_hold_are_refused_whatever_comes_with_them(shape: Any):
    for datatype in DATATYPES:
        with pytest.raises(OipError) as caught:
            from_raw("x", datatype, shape, b"", place="inputs[0]")
        assert caught.value.place == "inputs[0].shape"


def test_bytes_that_are_no_text_are_for_binary_data_only():
    tensor = from_raw("x", BYTES, (1,), packed([b"\xff"]), place="inputs[0]")
    with pytest.raises(OipError, match="binary data"):
        to_values(tensor)
