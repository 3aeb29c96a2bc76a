"""What changes images and locks: `pull`, `push`, `lock`, `refresh`, `prune`."""

from __future__ import annotations

from pathlib import Path

import click

from modelyard.cli.images import print_changes, print_lock, print_pruned, print_transfer
from modelyard.cli.options import (
    image_argument,
    json_option,
    platform_option,
    project_argument,
    registry_argument,
)
from modelyard.cli.printing import print_json
from modelyard.cli.session import Session
from modelyard.cli.watching import watching


@click.command(short_help="Copy an image into the workspace.")
@click.argument("reference")
@click.option("--as", "key", default="", metavar="KEY", help="The key of an image that does not say its own.")
@json_option
@click.pass_obj
def pull(session: Session, reference: str, key: str, *, as_json: bool) -> None:
    """Copy an environment's image, as company/images/environments:KEY, into the workspace's registry."""
    with watching(quiet=as_json) as show:
        report = session.client.images.pull(reference, key=key, on_progress=show)
    print_json(report) if as_json else print_transfer(report)


@click.command(short_help="Copy an image to another registry.")
@image_argument
@registry_argument
@json_option
@click.pass_obj
def push(session: Session, name: str, registry: str, *, as_json: bool) -> None:
    """Copy an environment's image, by the beginning of its key or by a service that uses it, to another registry."""
    with watching(quiet=as_json) as show:
        report = session.client.images.push(name, registry, on_progress=show)
    print_json(report) if as_json else print_transfer(report)


@click.command(short_help="Resolve a service's packages, build nothing.")
@project_argument
@platform_option
@json_option
@click.pass_obj
def lock(session: Session, path: Path, platform: str, *, as_json: bool) -> None:
    """Resolve what PATH needs and was never resolved, and keep the locks; build nothing."""
    from modelyard.spec import read_service

    spec = read_service(path)
    with watching(quiet=as_json) as show:
        report = session.client.images.lock(spec, platform=platform, on_progress=show)
    if as_json:
        print_json(report)
        return
    print_lock(report)
    click.echo("\nit was locked before" if report.was_stored else "\nlocked")


@click.command(short_help="Resolve again and show what changes.")
@project_argument
@platform_option
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--yes", is_flag=True, help="Keep the new locks without asking.")
@json_option
@click.pass_obj
def refresh(session: Session, path: Path, platform: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Resolve what PATH needs again, show which packages change, and keep that as what the next deploy takes."""
    from modelyard.spec import read_service

    if as_json and not (dry_run or yes):
        raise click.UsageError("--json asks nothing: say --yes or --dry-run")
    spec, images = read_service(path), session.client.images
    with watching(quiet=as_json) as show:
        report = images.refresh(spec, platform=platform, dry_run=True, on_progress=show)
    if not as_json:
        print_changes(report)
    if not (dry_run or report.stored) and (yes or click.confirm("keep these locks?", err=True)):
        with watching(quiet=as_json) as show:
            report = images.refresh(spec, platform=platform, expected=report.fingerprint, on_progress=show)
        if not as_json:
            click.echo(f"kept as {report.lock_key[:12]}: the next deploy takes it")
    if as_json:
        print_json(report)


@click.command(short_help="Remove what nobody needs any more.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option(
    "--keep-days",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="What was used within so many days stays.",
)
@json_option
@click.pass_obj
def prune(session: Session, keep_days: float, *, dry_run: bool, as_json: bool) -> None:
    """Remove images and locks of the workspace's registry that no revision refers to and nobody used for long."""
    with watching(quiet=as_json) as show:
        report = session.client.images.prune(keep_days=keep_days, dry_run=dry_run, on_progress=show)
    print_json(report) if as_json else print_pruned(report)
