"""Variables that steered v1's own server: given to a script by hand, they stand for options. Pure.

An option that was said wins, as it did over v1's variable.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from modelyard_runtime.contract import StartContract
from modelyard_runtime.replica.options import count

_FIELDS = StartContract.__dataclass_fields__


def _seconds(text: str) -> float:
    return count(text) / 1000


def _origins(text: str) -> list[str]:
    return [origin.strip() for origin in text.split(",") if origin.strip()]


STANDS_FOR: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "SCORING_TIMEOUT_MS": ("timeout", _seconds),
    "AML_CORS_ORIGINS": ("cors", _origins),
    "WORKER_COUNT": ("workers", count),
}
"""Each variable, its option, and how its text is read."""


def settle(said: argparse.Namespace) -> None:
    """Fill in the options that were not said: from variables, else with defaults.

    Raises `argparse.ArgumentTypeError` for a variable that the option would not take.
    """
    variables = dict(said.env)
    for name, (option, read) in STANDS_FOR.items():
        if name in variables and getattr(said, option) in (None, []):
            try:
                setattr(said, option, read(variables[name]))
            except argparse.ArgumentTypeError as error:
                msg = f"--env {name}: {error}"
                raise argparse.ArgumentTypeError(msg) from error
    if said.timeout is None:
        said.timeout = _FIELDS["timeout_s"].default
    if said.workers is None:
        said.workers = 1
    if said.max_concurrent is None:
        # v1's server ran a request in each of its workers at once
        said.max_concurrent = said.workers
