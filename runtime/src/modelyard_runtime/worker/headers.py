"""Request headers as v1 shows them to `run(data, request_headers)`."""

from __future__ import annotations

from .requests import HeaderList


def readable(headers: HeaderList) -> dict[str, str]:
    """Return the headers by name, `Written-Like-This`; a repeated one holds all values with commas."""
    found: dict[str, str] = {}
    for raw, value in headers:
        name = raw.decode("latin-1").title()
        text = value.decode("latin-1")
        found[name] = f"{found[name]},{text}" if name in found else text
    return found


def value_of(headers: HeaderList, name: bytes) -> str:
    """Return one header's value, empty when it did not come; `name` is in lower case."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return ""
