"""Options that several commands have, each written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
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


def project_argument(function: F) -> F:
    """Add the folder of a service, this one unless said otherwise."""
    path = click.Path(exists=True, path_type=Path)
    return click.argument("path", type=path, default=".")(function)


def frozen_option(function: F) -> F:
    """Add `--frozen`."""
    return click.option("--frozen", is_flag=True, help="Use stored locks alone; resolve nothing.")(function)


def image_argument(function: F) -> F:
    """Add the name of an image, completed from those of the workspace's registry."""
    return click.argument("name", shell_complete=_image_names)(function)


def registry_argument(function: F) -> F:
    """Add the name of a registry, completed from those that plugins offer."""
    return click.argument("registry", shell_complete=_registry_names)(function)


def registry_option(function: F) -> F:
    """Add `--registry`."""
    words = "Another registry than the workspace's own."
    return click.option("--registry", default="", help=words, shell_complete=_registry_names)(function)


def platform_option(function: F) -> F:
    """Add `--platform`."""
    words = "As linux/arm64; else that of the target's places."
    return click.option("--platform", default="", help=words)(function)


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


def _image_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    del parameter
    from modelyard.api import ModelyardError
    from modelyard.cli.session import Session

    session = context.find_object(Session) or Session.of(None)
    try:
        names = [_image_name(one.kind.value, one.repository, one.tag) for one in session.client.images.list()]
    except ModelyardError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def _image_name(kind: str, repository: str, tag: str) -> str:
    return f"{repository.rpartition('/')[2]}:{tag}" if kind == "service" else tag[:12]


def _registry_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    del parameter
    from modelyard.api import ModelyardError
    from modelyard.cli.session import Session

    session = context.find_object(Session) or Session.of(None)
    try:
        offers = [offer for plugin in session.client.plugins() for offer in plugin.offers]
    except ModelyardError:
        return []
    names = [name for kind, _, name in (offer.partition(":") for offer in offers) if kind == "registries"]
    return [name for name in names if name.startswith(incomplete)]
