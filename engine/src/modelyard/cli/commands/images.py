"""`images`: look at images; what changes them is in `image_changes`."""

from __future__ import annotations

from pathlib import Path

import click

from modelyard.cli.commands.image_changes import lock, prune, pull, push, refresh
from modelyard.cli.images import print_image, print_images, print_locks, print_outlook
from modelyard.cli.options import image_argument, json_option, project_argument, registry_option
from modelyard.cli.printing import print_json
from modelyard.cli.session import Session
from modelyard.cli.watching import patience


@click.group()
def images() -> None:
    """Look at images and locks, copy, make and remove them."""


@images.command("list", short_help="List the images of a registry.")
@registry_option
@json_option
@click.pass_obj
def list_images(session: Session, registry: str, *, as_json: bool) -> None:
    """List the images of the workspace's registry: environments, bases with docker steps, services."""
    with patience("reading the registry", quiet=as_json):
        found = session.client.images.list(registry)
    if as_json:
        print_json({"images": found})
    elif found:
        print_images(found)
    else:
        click.echo("there are no images")


@images.command(short_help="Show one image, or its locks.")
@image_argument
@click.option("--lock", "as_lock", is_flag=True, help="Print what pip and uv install, with hashes.")
@json_option
@click.pass_obj
def show(session: Session, name: str, *, as_lock: bool, as_json: bool) -> None:
    """Show NAME: the beginning of a key (six digits or more), SERVICE, or SERVICE:REVISION."""
    with patience("reading the registry", quiet=as_json):
        image = session.client.images.show(name)
    if as_json:
        print_json(image)
    elif as_lock:
        _require_locks(
            image.summary.tag, kept=bool(image.environments) and all(e.lock for e in image.environments)
        )
        print_locks(image)
    else:
        print_image(image)


@images.command(short_help="Say whether a deploy would find its image.")
@project_argument
@json_option
@click.pass_obj
def why(session: Session, path: Path, *, as_json: bool) -> None:
    """Say whether a deploy of PATH would find its image (or its environment), and if not, which input differs."""
    from modelyard.spec import read_service

    spec = read_service(path)
    with patience("resolving the environment", quiet=as_json):
        outlook = session.client.images.why(spec)
    print_json(outlook) if as_json else print_outlook(outlook)


def _require_locks(tag: str, *, kept: bool) -> None:
    from modelyard.api import NotFound

    if not kept:
        raise NotFound(
            f"the locks of {tag[:12]} are not kept in the workspace's registry, nor in a shared one",
            remedy="deploy a service that uses it: that keeps them; a base with docker steps has none",
        )


for command in (pull, push, lock, refresh, prune):
    images.add_command(command)
