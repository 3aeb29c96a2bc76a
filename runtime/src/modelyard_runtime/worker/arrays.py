"""Tensors as numpy arrays and back: views in, and views out where nobody else can write to them.

numpy is the user's own: it is imported when a script first needs it, never before.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, Sequence

from .datatypes import BF16, BYTES, NUMBERS
from .failures import ResultUnusable
from .nested import elements, packed
from .requests import Buffer, Tensor

_TAKES = {"b": "b", "u": "iu", "i": "iu", "f": "iuf"}
"""Which kinds of values a declared kind takes: no text in numbers, no fractions in integers."""
_SMALL_BYTES = 1 << 14
"""Copying less than this costs less than finding out whether a copy is needed."""


class Arrays:
    """What needs numpy, with numpy found once. Raises `ImportError` where the environment has none."""

    def __init__(self) -> None:
        import numpy

        self._numpy: Any = numpy
        self._dtypes = {name: numpy.dtype(written.dtype) for name, written in NUMBERS.items()}
        self._names = {dtype: name for name, dtype in self._dtypes.items()}
        self._bfloat16 = _bfloat16()
        self._unshared = _references({"": numpy.empty(1)}, "")

    def of(self, tensor: Tensor) -> Any:
        """Return a read-only array over the tensor's bytes; BYTES become an object array of `bytes`."""
        numpy, datatype = self._numpy, tensor.datatype
        if datatype == BYTES:
            return self._objects(list(elements(tensor.data)), tensor.shape)
        if datatype == BF16:
            return self._brain_floats(tensor)
        array = numpy.frombuffer(tensor.data, self._dtypes[datatype])
        array.flags.writeable = False
        return array.reshape(tensor.shape)

    def of_lists(self, value: Any, datatype: str = "") -> Any:
        """Return an array of JSON values, of the datatype if one is declared. Raises `ValueError`."""
        numpy = self._numpy
        array = numpy.asarray(value)
        kind = array.dtype.kind
        if kind == "U" and datatype in ("", BYTES):
            texts = numpy.asarray(value, dtype=object).ravel().tolist()
            if not all(isinstance(text, str) for text in texts):
                raise ValueError("it mixes texts and numbers")
            return self._objects([text.encode() for text in texts], array.shape)
        if kind not in "biuf" or datatype == BYTES:
            raise ValueError("its rows differ in length, or its values are not what the array holds")
        return self._cast(array, datatype) if datatype else array

    def _cast(self, array: Any, datatype: str) -> Any:
        if datatype == BF16:
            return array.astype(self._bfloat16 or "f4")
        dtype = self._dtypes[datatype]
        if array.size and array.dtype.kind not in _TAKES[dtype.kind]:
            raise ValueError(f"{datatype} cannot hold {array.dtype.name} values")
        cast = array.astype(dtype)
        if dtype.kind in "iu" and not (cast == array).all():
            raise ValueError(f"a value is outside {datatype}")
        return cast

    def tensors(self, outputs: dict[str, Any]) -> tuple[Tensor, ...]:
        """Make tensors of what a script returned by name. Raises `ResultUnusable`."""
        return tuple(self._tensor(outputs, name) for name in outputs)

    def stacked(self, arrays: Sequence[Any]) -> Any:
        """Return arrays one under another."""
        return self._numpy.concatenate(arrays)

    def rows_of(self, outputs: dict[str, Any], rows: int) -> dict[str, Any] | None:
        """Return outputs as arrays if each has one row for every row asked, else None."""
        arrays = {name: self._numpy.asarray(value) for name, value in outputs.items()}
        whole = all(array.ndim and array.shape[0] == rows for array in arrays.values())
        return arrays if whole else None

    def _tensor(self, outputs: dict[str, Any], name: str) -> Tensor:
        value = outputs[name]
        if type(value) is self._numpy.ndarray:
            datatype = self._names.get(value.dtype)
            if datatype is not None and value.flags.c_contiguous and value.ndim:
                if value.nbytes <= _SMALL_BYTES:
                    return Tensor(name, datatype, value.shape, value.tobytes())
                del value
                shared = _references(outputs, name) > self._unshared
                return Tensor(name, datatype, outputs[name].shape, self._bytes(outputs[name], shared=shared))
        return self._converted(name, value)

    def _bytes(self, array: Any, *, shared: bool) -> Buffer:
        """Return a view where nobody can change the array any more, else a copy."""
        if array.flags.writeable and (shared or not array.flags.owndata):
            return array.tobytes()  # type: ignore[no-any-return]  # numpy is not typed here
        return memoryview(array).cast("B")

    def _converted(self, name: str, value: Any) -> Tensor:
        numpy = self._numpy
        try:
            array = numpy.atleast_1d(numpy.asarray(value))
        except ValueError:
            raise ResultUnusable(f"output '{name}': the rows of the result differ in length") from None
        if array.dtype.name == "bfloat16":
            return Tensor(name, BF16, array.shape, numpy.ascontiguousarray(array).tobytes())
        if array.dtype.kind in "USO":
            return Tensor(name, BYTES, array.shape, packed(_texts(name, array)))
        dtype = array.dtype.newbyteorder("<")
        datatype = self._names.get(dtype)
        if datatype is None:
            raise ResultUnusable(f"output '{name}': no tensor can be made of {array.dtype.name} values")
        return Tensor(name, datatype, array.shape, numpy.ascontiguousarray(array, dtype).tobytes())

    def _objects(self, items: Sequence[Any], shape: Sequence[int]) -> Any:
        array = self._numpy.empty(len(items), dtype=object)
        array[:] = items
        array.flags.writeable = False
        return array.reshape(shape)

    def _brain_floats(self, tensor: Tensor) -> Any:
        numpy = self._numpy
        if self._bfloat16 is not None:
            array = numpy.frombuffer(tensor.data, self._bfloat16)
        else:
            halves = numpy.frombuffer(tensor.data, "<u2").astype("<u4")
            array = (halves << 16).view("<f4")
        array.flags.writeable = False
        return array.reshape(tensor.shape)


@lru_cache(maxsize=1)
def shared_arrays() -> Arrays:
    """Return what needs numpy, made once, for scripts that return arrays without asking for any."""
    return Arrays()


def _references(outputs: dict[str, Any], name: str) -> int:
    """Count who holds an output, always in the same way: more than a fresh array has means shared."""
    return sys.getrefcount(outputs[name])


def _bfloat16() -> Any:
    try:
        import ml_dtypes
    except ImportError:
        return None
    return ml_dtypes.bfloat16


def _texts(name: str, array: Any) -> list[bytes]:
    items = array.ravel().tolist()
    if not all(isinstance(item, (str, bytes)) for item in items):
        raise ResultUnusable(f"output '{name}': no tensor can be made of an array of Python objects")
    return [item.encode("utf-8", "surrogatepass") if isinstance(item, str) else item for item in items]
