"""Whether a function of the script can be called with what requests carry. Pure."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, NamedTuple

from .failures import ScriptError

HEADERS = "request_headers"
CONTRACT_BROKEN = 13
_REFUSED = {
    inspect.Parameter.VAR_POSITIONAL: "*args",
    inspect.Parameter.VAR_KEYWORD: "**kwargs",
    inspect.Parameter.POSITIONAL_ONLY: "positional-only parameters",
}

Call = Callable[[Any, Dict[str, str]], Any]


class Signature(NamedTuple):
    """What a function takes: `data` is everything but the headers."""

    data: tuple[inspect.Parameter, ...]
    wants_headers: bool
    data_first: bool
    """Its first parameter is data that may be given by position."""


def broken(cause: str, remedy: str) -> ScriptError:
    """Make the error of a script that breaks the contract."""
    return ScriptError(cause, remedy=remedy, exit_code=CONTRACT_BROKEN)


def check(function: Callable[..., Any], name: str, entry: str, *, several: bool = False) -> Signature:
    """Read a function's signature. `several`: each parameter is found by name in a request.

    Raises `ScriptError` when no request could ever be handed to it.
    """
    remedy = f"write {name}(data) or {name}(data, {HEADERS})"
    parameters = _parameters(function, name, entry)
    for parameter in parameters:
        if parameter.kind in _REFUSED:
            raise broken(f"{name}() in {entry} takes {_REFUSED[parameter.kind]}", remedy)
    data = tuple(parameter for parameter in parameters if parameter.name != HEADERS)
    if not data:
        raise broken(f"{name}() in {entry} takes no data", remedy)
    needed = [parameter.name for parameter in data[1:] if parameter.default is inspect.Parameter.empty]
    if needed and not several:
        raise broken(f"{name}() in {entry} needs '{needed[0]}', which no request carries", remedy)
    first = parameters[0]
    return Signature(
        data=data,
        wants_headers=len(data) < len(parameters),
        data_first=first.name != HEADERS and first.kind is not inspect.Parameter.KEYWORD_ONLY,
    )


def caller(function: Callable[..., Any], signature: Signature) -> Call:
    """Return a way to call the function with one value (and headers) that costs next to nothing."""
    name = signature.data[0].name
    if not signature.data_first:
        if signature.wants_headers:
            return lambda value, headers: function(**{name: value, HEADERS: headers})
        return lambda value, _: function(**{name: value})
    if signature.wants_headers:
        return lambda value, headers: function(value, request_headers=headers)
    return lambda value, _: function(value)


def named_caller(function: Callable[..., Any], signature: Signature) -> Call:
    """Return a way to call the function with its arguments by name (and headers)."""
    if signature.wants_headers:
        return lambda arguments, headers: function(**arguments, request_headers=headers)
    return lambda arguments, _: function(**arguments)


def _parameters(function: Callable[..., Any], name: str, entry: str) -> tuple[inspect.Parameter, ...]:
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise broken(
            f"{name} in {entry} is not a function whose parameters can be read", f"define {name}() with def"
        ) from error
