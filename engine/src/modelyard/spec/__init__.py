"""YAML and JSON in, frozen values out: `ServiceSpec` and `EngineSettings`, every mistake at once.

Lives here: the table of keys, quantities, the bounded YAML reader, JSON Schema.
Never here: judging what installed plugins can serve, running or importing the user's code.
May import: api.
"""

from modelyard.spec.quantities import (
    QuantityError,
    format_bytes,
    format_cpu,
    format_duration,
    format_memory,
    parse_bytes,
    parse_duration,
    parse_quantity_cpu,
    parse_quantity_memory,
)
from modelyard.spec.schema import json_schema
from modelyard.spec.services import changed_keys, parse_service, read_service, settings_of, to_raw
from modelyard.spec.settings import read_settings

__all__ = [
    "QuantityError",
    "changed_keys",
    "format_bytes",
    "format_cpu",
    "format_duration",
    "format_memory",
    "json_schema",
    "parse_bytes",
    "parse_duration",
    "parse_quantity_cpu",
    "parse_quantity_memory",
    "parse_service",
    "read_service",
    "read_settings",
    "settings_of",
    "to_raw",
]
