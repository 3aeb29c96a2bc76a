"""Find the value that inference_schema could not convert: the library says what is wrong, not where.

Looks at the exception's own frames, so the library stays as it is on the registry.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import Any, Sequence

_PACKAGE = "inference_schema."
_CONVERTING = "_deserialize_input_argument"


def found_before(code: CodeType | None, error: BaseException) -> str | None:
    """Return the path of the offending value; None when the script's own code had begun, or it is unknown."""
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code is code:
            return None
        if frame.f_code.co_name == _CONVERTING and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
            frames.append(frame)
        traceback = traceback.tb_next
    return _path(frames) if frames else None


def _path(frames: Sequence[FrameType]) -> str:
    path = str(frames[0].f_locals["param_name"])
    for outer, inner in zip(frames, frames[1:]):
        path += _step(outer.f_locals["input_data"], inner.f_locals)
    last = frames[-1].f_locals
    return path + (_inside(last["input_data"], last["param_type"]) or "")


def _step(outer: Any, inner: dict[str, Any]) -> str:
    if isinstance(outer, dict):
        return f".{inner['param_name']}"
    for number, item in enumerate(outer):
        if item is inner["input_data"]:
            return f"[{number}]"
    return ""


def _inside(value: Any, kind: Any) -> str | None:
    sample: Any = getattr(kind, "sample_input", None)
    if type(sample).__name__ == "DataFrame":
        return _in_records(value, sample, checked=kind.enforce_column_type, whole=kind.enforce_shape)
    if hasattr(sample, "dtype") and hasattr(sample, "shape"):
        sizes = (None, *sample.shape[1:])
        return _in_array(value, sizes, sample.dtype.type if kind.enforce_column_type else None)
    return None


def _in_array(value: Any, sizes: Sequence[int | None], convert: Any) -> str | None:
    if not sizes:
        return None if _fits(value, convert) else ""
    if not isinstance(value, list) or sizes[0] not in (None, len(value)):
        return ""
    for number, item in enumerate(value):
        place = _in_array(item, sizes[1:], convert)
        if place is not None:
            return f"[{number}]{place}"
    return None


def _in_records(value: Any, sample: Any, *, checked: bool, whole: bool) -> str | None:
    if not isinstance(value, list):
        return None
    columns = {str(column): sample[column].dtype for column in sample.columns}
    for number, row in enumerate(value):
        if not isinstance(row, dict):
            return f"[{number}]"
        if whole and len(row) != len(columns):
            odd = [name for name in (*columns, *row) if (name in columns) != (name in row)]
            return f"[{number}].{odd[0]}" if odd else f"[{number}]"
        for name, item in row.items():
            dtype = columns.get(name)
            if checked and dtype is not None and not _fits(item, getattr(dtype, "type", None)):
                return f"[{number}].{name}"
    return None


def _fits(value: Any, convert: Any) -> bool:
    if isinstance(value, (list, dict)):
        return False
    try:
        if convert is not None:
            convert(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
