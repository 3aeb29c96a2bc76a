"""Options that several commands have, each written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """Add `--json`: one JSON document on stdout instead of words."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


def service_argument(function: F) -> F:
    """Add the name of a service, completed from those that run."""
    return click.argument("name", shell_complete=_service_names)(function)


def target_option(function: F) -> F:
    """Add `--target`: somewhere else than the file says."""
    return click.option("--target", help="Where it shall run, in place of the file's `target`.")(function)


def wait_option(function: F) -> F:
    """Add `--no-wait`."""
    return click.option("--wait/--no-wait", default=True, help="Return once it is done, or at once.")(
        function
    )


def _service_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    del parameter
    from modelyard.api import ModelyardError
    from modelyard.cli.session import Session

    session = context.find_object(Session) or Session.of(None)
    try:
        names = [service.name for service in session.client.services()]
    except ModelyardError:
        return []
    return [name for name in names if name.startswith(incomplete)]
