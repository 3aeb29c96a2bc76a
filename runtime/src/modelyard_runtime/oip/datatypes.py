"""The protocol's datatypes, and shapes checked before anything is allocated for them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from modelyard_runtime.worker.datatypes import BF16, BYTES, NUMBERS

__all__ = ["BF16", "BYTES", "DATATYPES", "Datatype", "OipError", "count", "find"]

MAX_ELEMENTS = 2**31 - 1
"""Per dimension and in all; what every client's 32-bit arithmetic still holds."""
MAX_RANK = 32
"""The most dimensions that every numpy takes."""

UNSERVED = {
    "shared_memory_region": "shared memory between client and server is not served: send the data",
    "classification": "the classification extension is not served: rank the scores yourself",
}
"""Parameters of a tensor that change what it means, so that they cannot be passed over."""


class OipError(ValueError):
    """The request breaks the protocol; the text says how, `place` where (`inputs[0].shape`)."""

    def __init__(self, message: str, *, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class Datatype(NamedTuple):
    """`size` in bytes (0 = each element has its own), `code` of `struct`, which JSON values it takes."""

    size: int
    code: str
    takes: frozenset[type]


_WHOLE, _REAL = frozenset({int}), frozenset({int, float})


def _takes(name: str) -> frozenset[type]:
    if name == "BOOL":
        return frozenset({bool})
    return _REAL if name.startswith("FP") else _WHOLE


DATATYPES: dict[str, Datatype] = {
    **{name: Datatype(size, code, _takes(name)) for name, (size, code, _) in NUMBERS.items()},
    BF16: Datatype(2, "", _REAL),
    BYTES: Datatype(0, "", frozenset({str})),
}
"""By the protocol's name. BF16 is no format that `struct` knows: see `tensors`."""


def find(datatype: str, *, place: str) -> Datatype:
    """Return a datatype by its name. Raises `OipError`."""
    found = DATATYPES.get(datatype)
    if found is None:
        raise OipError(
            f"unknown datatype '{datatype}'; this server takes {', '.join(DATATYPES)}",
            place=f"{place}.datatype",
        )
    return found


def count(shape: Sequence[int], *, place: str) -> int:
    """Return how many elements a shape has. Raises `OipError` for one that nobody could hold."""
    if len(shape) > MAX_RANK:
        raise OipError(f"{len(shape)} dimensions; {MAX_RANK} is the most", place=f"{place}.shape")
    elements = 1
    for size in shape:
        if not 0 <= size <= MAX_ELEMENTS:
            raise OipError(f"a dimension of {size}; each must be 0 to {MAX_ELEMENTS}", place=f"{place}.shape")
        elements *= size
    if elements > MAX_ELEMENTS:
        raise OipError(
            f"shape {list(shape)} has {elements} elements; {MAX_ELEMENTS} is the most", place=f"{place}.shape"
        )
    return elements
