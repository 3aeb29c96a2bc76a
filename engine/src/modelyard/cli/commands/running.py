"""`up` and `down`."""

from __future__ import annotations

import click

from modelyard.api import Unavailable
from modelyard.cli.options import json_option
from modelyard.cli.printing import note, print_json
from modelyard.cli.session import Session
from modelyard.client import start_controller
from modelyard.processes import Home


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="The router's port, instead of settings.yaml's.")
@click.option("--address", help="The router's address; loopback unless asked otherwise.")
@click.option("--strict-plugins", is_flag=True, help="Refuse to start with any broken plugin.")
@json_option
@click.pass_obj
def up(
    session: Session, port: int | None, address: str | None, *, strict_plugins: bool, as_json: bool
) -> None:
    """Start the engine: controller and router, on this machine. Adopts whatever runs already."""
    client = start_controller(
        session.home,
        router_address=address,
        router_port=port,
        strict_plugins=strict_plugins,
        on_line=None if as_json else note,
    )
    status = client.status()
    if as_json:
        print_json(status)
        return
    click.echo(
        f"engine {status.version} runs (pid {status.pid}), {status.services} services, home {status.home}"
    )
    click.echo(f"router listens on {status.router.url}")


@click.command()
@click.option(
    "--keep-replicas", is_flag=True, help="Stop the controller alone: router and replicas serve on."
)
@json_option
@click.pass_obj
def down(session: Session, *, keep_replicas: bool, as_json: bool) -> None:
    """Stop the engine and everything it runs. State is kept: `engine up` brings the services back."""
    client = session.client
    running = _runs(session)
    if not running and not _left_behind(session.home):
        print_json({"stopped": False}) if as_json else click.echo("the engine is not running")
        return
    if not as_json:
        note(
            "stopping"
            if running
            else "the controller is gone, but what it ran is not: taking it over to stop it"
        )
    if not running:
        start_controller(session.home)
    client.shutdown(stop_replicas=not keep_replicas, stop_router=not keep_replicas)
    print_json({"stopped": True}) if as_json else click.echo("stopped")


def _runs(session: Session) -> bool:
    try:
        session.client.status()
    except Unavailable:
        return False
    return True


def _left_behind(home: Home) -> bool:
    return any(folder.is_dir() and any(folder.iterdir()) for folder in (home.replicas, home.router_run))
