"""What a loaded script says of itself, so that the front need not ask again. Plain values: it may travel as JSON."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence

Schema = Dict[str, Any]
TensorMetadata = List[Dict[str, Any]]
"""As the Open Inference Protocol lists them: `name`, `datatype`, `shape` (-1 = any)."""

ALL_SWAGGER_VERSIONS = ("2.0", "3.0", "3.1")


class Description(NamedTuple):
    """`style` is "text", "schema", "http" or "tensors": what `/score` hands to the script."""

    style: str
    needs_headers: bool = False
    """False: the front may send requests without headers."""
    batchable: bool = False
    input_schema: Schema | None = None
    """The swagger part of the input, None where the script declares none."""
    output_schema: Schema | None = None
    swagger_versions: Sequence[str] = ALL_SWAGGER_VERSIONS
    """Those that can express the schemas."""
    tensors_in: TensorMetadata | None = None
    tensors_out: TensorMetadata | None = None
