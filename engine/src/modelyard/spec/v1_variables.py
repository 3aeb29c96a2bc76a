"""Variables that steered v1's own server: among a service's variables they stand for keys of the file. Pure.

A key that the file sets wins, as an option of v1's server won over its variable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelyard.spec.documents import Node, Scalar
from modelyard.spec.fields import BY_KEY
from modelyard.spec.findings import WrongError
from modelyard.spec.kinds import Context
from modelyard.spec.reading import find

_VARIABLES = "environment.variables"


def _milliseconds(text: str) -> Scalar:
    return f"{text.strip()}ms"


def _number(text: str) -> Scalar:
    return int(text) if text.strip().isdecimal() else text


def _origins(text: str) -> tuple[Node, ...]:
    return tuple(Node(origin.strip()) for origin in text.split(",") if origin.strip())


STANDS_FOR: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "SCORING_TIMEOUT_MS": ("request.timeout", _milliseconds),
    "AML_CORS_ORIGINS": ("cors", _origins),
    "WORKER_COUNT": ("workers", _number),
}
"""Each variable, its key, and how its text becomes what the file would say."""


def read_variables(root: Node, values: dict[str, Any], context: Context) -> None:
    """Add the keys that variables stand for; a value that the key would not take is a finding."""
    variables = values.get(_VARIABLES, {})
    for name, (key, converted) in STANDS_FOR.items():
        if name in variables and key not in values:
            node = Node(converted(variables[name]), find(root, f"{_VARIABLES}.{name}").line, variables[name])
            try:
                values[key] = BY_KEY[key].kind.parse(node, context, f"{_VARIABLES}.{name}")
            except WrongError as error:
                context.wrong(error, node, f"{_VARIABLES}.{name}")
    if "workers" in values and "WORKER_COUNT" in variables:
        # v1's server ran a request in each of its workers at once
        values.setdefault("request.max_concurrent", values["workers"])
