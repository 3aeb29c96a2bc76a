"""What changes a service: `plan`, `deploy`, `rollback`, `scale`, `delete`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelyard.cli.options import (
    frozen_option,
    json_option,
    project_argument,
    service_argument,
    target_option,
    wait_option,
)
from modelyard.cli.plans import print_plan
from modelyard.cli.printing import print_json
from modelyard.cli.progress import follow
from modelyard.cli.session import Session

if TYPE_CHECKING:
    from modelyard.api import Operation, ServiceSpec


@click.command()
@project_argument
@target_option
@frozen_option
@json_option
@click.pass_obj
def plan(session: Session, path: Path, target: str | None, *, frozen: bool, as_json: bool) -> None:
    """Say what a deploy of PATH (a folder with engine.yaml, or such a file) would do; changes nothing."""
    from modelyard.api import Refused

    made = session.client.plan(_read(path, target), frozen=frozen)
    print_json(made) if as_json else print_plan(made)
    if made.refusals:
        if as_json:
            raise click.exceptions.Exit(1)
        raise Refused(made.refusals)


@click.command()
@project_argument
@click.option("--dry-run", is_flag=True, help="Only plan.")
@target_option
@frozen_option
@wait_option
@json_option
@click.pass_context
def deploy(  # noqa: PLR0913  one option each
    context: click.Context,
    path: Path,
    target: str | None,
    *,
    dry_run: bool,
    frozen: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Deploy PATH (a folder with engine.yaml, or such a file): plan, build, start, prove, switch over."""
    if dry_run:
        context.invoke(plan, path=path, target=target, frozen=frozen, as_json=as_json)
        return
    client = context.obj.client
    service = _read(path, target)
    if not as_json:
        print_plan(client.plan(service, frozen=frozen), brief=True)
    operation = _finish(context.obj, client.deploy(service, frozen=frozen), wait=wait, as_json=as_json)
    if operation.finished and not as_json:
        view = client.service(service.name)
        click.echo(f"{view.name} revision {view.revision} serves at {view.url}")


@click.command()
@service_argument
@click.option("--revision", type=click.IntRange(1), help="Which one; else the one before.")
@wait_option
@json_option
@click.pass_obj
def rollback(session: Session, name: str, revision: int | None, *, wait: bool, as_json: bool) -> None:
    """Go back to an earlier revision of NAME, the way a deploy goes forward."""
    operation = _finish(session, session.client.rollback(name, revision), wait=wait, as_json=as_json)
    if not as_json:
        click.echo(f"{name} is back as revision {operation.revision}" if operation.finished else operation.id)


@click.command()
@service_argument
@click.option("--replicas", type=click.IntRange(0), help="Exactly so many.")
@click.option("--min", "minimum", type=click.IntRange(0), help="At least so many.")
@click.option("--max", "maximum", type=click.IntRange(1), help="At most so many.")
@wait_option
@json_option
@click.pass_obj
def scale(  # noqa: PLR0913  one option each
    session: Session,
    name: str,
    replicas: int | None,
    minimum: int | None,
    maximum: int | None,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Change how many replicas NAME may have, until the next deploy says otherwise."""
    if replicas is not None and (minimum is not None or maximum is not None):
        raise click.UsageError("--replicas sets both bounds: leave --min and --max out")
    if replicas is None and minimum is None and maximum is None:
        raise click.UsageError("say --replicas, or --min, or --max")
    begun = session.client.scale(name, replicas=replicas, minimum=minimum, maximum=maximum)
    _finish(session, begun, wait=wait, as_json=as_json)
    if not as_json:
        view = session.client.service(name)
        click.echo(f"{name}: {view.replicas_wanted} replicas wanted")


@click.command()
@service_argument
@wait_option
@json_option
@click.pass_obj
def delete(session: Session, name: str, *, wait: bool, as_json: bool) -> None:
    """Drain NAME, then remove it with its keys, revisions and replicas."""
    _finish(session, session.client.delete(name), wait=wait, as_json=as_json)
    if not as_json:
        click.echo(f"{name} is deleted" if wait else f"{name} is being deleted")


def _read(path: Path, target: str | None) -> ServiceSpec:
    """Read a service's file; a target given on the command line counts as set by it."""
    import attrs

    from modelyard.spec import read_service

    service = read_service(path)
    return attrs.evolve(service, target=target, given=service.given | {"target"}) if target else service


def _finish(session: Session, operation: Operation, *, wait: bool, as_json: bool) -> Operation:
    if wait:
        operation = follow(session.client, operation, quiet=as_json)
    if as_json:
        print_json(operation)
    elif not wait:
        click.echo(f"operation {operation.id} goes on without you")
    return operation
