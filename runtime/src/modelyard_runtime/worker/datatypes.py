"""The Open Inference Protocol's datatypes: how an element of each is written. The one place that lists them.

Standard library only and without imports of its own: the script's interpreter, the server and the engine's
client all read it.
"""

from __future__ import annotations

from typing import NamedTuple

BYTES, BF16 = "BYTES", "BF16"


class Written(NamedTuple):
    """`size` in bytes, the format letter of `struct`, the type string of numpy. Little-endian."""

    size: int
    code: str
    dtype: str


NUMBERS = {
    "BOOL": Written(1, "?", "|b1"),
    "UINT8": Written(1, "B", "|u1"),
    "UINT16": Written(2, "H", "<u2"),
    "UINT32": Written(4, "I", "<u4"),
    "UINT64": Written(8, "Q", "<u8"),
    "INT8": Written(1, "b", "|i1"),
    "INT16": Written(2, "h", "<i2"),
    "INT32": Written(4, "i", "<i4"),
    "INT64": Written(8, "q", "<i8"),
    "FP16": Written(2, "e", "<f2"),
    "FP32": Written(4, "f", "<f4"),
    "FP64": Written(8, "d", "<f8"),
}
"""Those that struct and numpy know. BF16 has 2 bytes that neither reads; each BYTES element has its own length."""
DATATYPES = (*NUMBERS, BF16, BYTES)
