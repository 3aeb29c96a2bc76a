"""What a script declares about its tensors in `INPUTS` and `OUTPUTS`, and whether a request keeps to it."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from .datatypes import DATATYPES
from .failures import BadInput
from .requests import Tensor
from .signatures import broken

_REMEDY = 'write it as [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]; -1 stands for any size'


class TensorSpec(NamedTuple):
    """One declared tensor; -1 in its shape is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raises `BadInput` for a shape that breaks the declaration."""
        agrees = len(shape) == len(self.shape) and all(
            wanted in (-1, found) for wanted, found in zip(self.shape, shape)
        )
        if not agrees:
            raise BadInput(
                f"input '{self.name}' must have the shape {list(self.shape)}, {list(shape)} came",
                place=self.name,
            )

    def as_metadata(self) -> dict[str, Any]:
        """Return the tensor as the Open Inference Protocol lists it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


class Declared(NamedTuple):
    """What a script declares; None where it declares nothing."""

    inputs: tuple[TensorSpec, ...] | None = None
    outputs: tuple[TensorSpec, ...] | None = None

    def input(self, name: str) -> TensorSpec | None:
        """Return an input's declaration."""
        for one in self.inputs or ():
            if one.name == name:
                return one
        return None

    def check(self, tensors: Sequence[Tensor]) -> None:
        """Raises `BadInput` for inputs that are missing, unknown or otherwise than declared."""
        found = {tensor.name: tensor for tensor in tensors}
        for one in self.inputs or ():
            tensor = found.pop(one.name, None)
            if tensor is None:
                raise BadInput(f"input '{one.name}' is missing", place=one.name)
            if tensor.datatype != one.datatype:
                raise BadInput(
                    f"input '{one.name}' must be {one.datatype}, {tensor.datatype} came", place=one.name
                )
            one.check_shape(tensor.shape)
        for name in found:
            known = ", ".join(one.name for one in self.inputs or ())
            raise BadInput(f"this model has no input '{name}'; it takes {known}", place=name)


def read(module: Any, entry: str) -> Declared:
    """Read a script's declarations. Raises `ScriptError` for one that makes no sense."""
    return Declared(_specs(module, "INPUTS", entry), _specs(module, "OUTPUTS", entry))


def listed(specs: Sequence[TensorSpec] | None) -> list[dict[str, Any]] | None:
    """Return declarations as metadata."""
    return None if specs is None else [one.as_metadata() for one in specs]


def _specs(module: Any, name: str, entry: str) -> tuple[TensorSpec, ...] | None:
    declared = getattr(module, name, None)
    if declared is None:
        return None
    if not isinstance(declared, (list, tuple)) or not declared:
        raise broken(f"{name} in {entry} is no list of tensors", _REMEDY)
    specs = tuple(_spec(one, name, entry) for one in declared)
    if len({one.name for one in specs}) < len(specs):
        raise broken(f"{name} in {entry} names a tensor twice", "give each tensor a name of its own")
    return specs


def _spec(one: Any, name: str, entry: str) -> TensorSpec:
    try:
        spec = TensorSpec(str(one["name"]), str(one["datatype"]), tuple(one["shape"]))
    except (TypeError, KeyError) as error:
        raise broken(f"{name} in {entry}: {one!r} is no tensor ({error})", _REMEDY) from None
    if spec.datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        raise broken(f"{name} in {entry}: there is no datatype {spec.datatype}", f"use one of {known}")
    if not all(type(size) is int and size >= -1 for size in spec.shape):
        raise broken(f"{name} in {entry}: {list(spec.shape)} is no shape", _REMEDY)
    return spec
