"""Quantities as people write them (`500m`, `512Mi`, `60s`, `100MB`) and as the engine counts them. Pure."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

_NUMBER = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,24})?|\.[0-9]{1,24}) *([A-Za-z]*)")
_MAX_NUMBER = 10**19
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_MEMORY = _DECIMAL | _BINARY
_BYTES = _MEMORY | {"B": 1, "KB": 10**3} | {f"{unit}B": factor for unit, factor in _MEMORY.items() if unit}
_SECONDS = {"ms": Decimal("0.001"), "": Decimal(1), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}


class QuantityError(ValueError):
    """The text is no such quantity; the message says how to write one."""


def parse_quantity_cpu(value: object) -> int:
    """Read cores (`0.5`, `2`) or thousandths (`500m`) as millicores."""
    number, unit = _split(value, ("", "m"), "cores, as 0.5 or 500m")
    millicores = number if unit == "m" else number * 1000
    if millicores != millicores.to_integral_value():
        raise QuantityError("finer than one thousandth of a core (1m)")
    return int(millicores)


def parse_quantity_memory(value: object) -> int:
    """Read memory (`512Mi`, `1G`, plain bytes) as bytes, rounded up."""
    number, unit = _split(value, tuple(_MEMORY), "an amount of memory, as 512Mi or 2G")
    return _whole(number * _MEMORY[unit])


def parse_bytes(value: object) -> int:
    """Read a size (`100MB`, `100Mi`, plain bytes) as bytes, rounded up."""
    number, unit = _split(value, tuple(_BYTES), "a size, as 100MB or 100Mi")
    return _whole(number * _BYTES[unit])


def parse_duration(value: object) -> float:
    """Read a time (`60s`, `500ms`, `2m`, `1h`, plain seconds) as seconds."""
    number, unit = _split(value, tuple(_SECONDS), "a time, as 60s, 500ms or 2m")
    return float(number * _SECONDS[unit])


def format_cpu(millicores: int) -> str:
    """Write millicores as Kubernetes does."""
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def format_memory(size: int) -> str:
    """Write bytes with the largest binary unit that loses nothing."""
    return _with_unit(size, _BINARY) or str(size)


def format_bytes(size: int) -> str:
    """Write bytes with the largest decimal, else binary, unit that loses nothing."""
    decimal = {f"{'kB' if unit == 'k' else unit + 'B'}": factor for unit, factor in _DECIMAL.items() if unit}
    return _with_unit(size, decimal) or _with_unit(size, _BINARY) or str(size)


def format_duration(seconds: float) -> str:
    """Write seconds so that `parse_duration` reads the same number."""
    milliseconds = round(seconds * 1000)
    if seconds < 1 and milliseconds and milliseconds / 1000 == seconds:
        return f"{milliseconds}ms"
    return _plain(seconds).removesuffix(".0") + "s"


def _split(value: object, units: tuple[str, ...], what: str) -> tuple[Decimal, str]:
    text = _text(value)
    match = _NUMBER.fullmatch(text.strip()) if text is not None else None
    if match is None or match[2] not in units:
        raise QuantityError(f"is not {what}")
    return Decimal(match[1]), match[2]


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < _MAX_NUMBER else None
    if isinstance(value, float):
        return _plain(value) if abs(value) < _MAX_NUMBER else None  # False for nan too
    return value if isinstance(value, str) else None


def _plain(value: float) -> str:
    """Spell a float exactly, without an exponent."""
    return format(Decimal(repr(value)), "f")


def _whole(number: Decimal) -> int:
    return int(number.to_integral_value(rounding=ROUND_CEILING))


def _with_unit(size: int, units: dict[str, int]) -> str | None:
    for unit, factor in sorted(units.items(), key=lambda item: -item[1]):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return None
