"""`image build`: the engine's own image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelyard.cli.options import json_option
from modelyard.cli.printing import facts, print_json
from modelyard.cli.session import Session
from modelyard.cli.watching import watching

if TYPE_CHECKING:
    from modelyard.api import EngineImage

_DIGITS = 12


@click.group()
def image() -> None:
    """Build the engine's own image: controller, router and plugins in one."""


@image.command()
@click.option("--base", default="", metavar="IMAGE", help="What it stands on, instead of the default base.")
@click.option(
    "--platform", default="", metavar="PLATFORM", help="linux/amd64 or linux/arm64; this machine's."
)
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of wheels, as `make packaging` makes; without it, what is installed beside this engine.",
)
@click.option(
    "--registry", default="", metavar="NAME", help="Where it goes, instead of the workspace's registry."
)
@click.option("--tag", default="", metavar="TAG", help="Its tag, instead of the version.")
@click.option("--revision", default="", metavar="TEXT", help="The source's revision, for the image's label.")
@click.option("--dry-run", is_flag=True, help="Only say what would be built.")
@json_option
@click.pass_obj
def build(  # noqa: PLR0913  one an option
    session: Session,
    base: str,
    platform: str,
    wheels: Path | None,
    *,
    registry: str,
    tag: str,
    revision: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Assemble controller, router and plugins on a base image, and push the result to a registry."""
    from modelyard.api import EngineImageOrder

    order = EngineImageOrder(
        base=base,
        platform=platform,
        wheels=str(wheels.resolve()) if wheels else "",
        registry=registry,
        tag=tag,
        revision=revision,
        dry_run=dry_run,
    )
    with watching(quiet=as_json) as show:
        made = session.client.build_engine_image(order, on_progress=show)
    print_json(made) if as_json else _print(made)


def _print(made: EngineImage) -> None:
    environment = f"{made.environment_key[:_DIGITS]} with {made.packages} packages"
    facts(
        {
            "image": f"{made.registry}/{made.repository}:{made.tag}",
            "digest": made.digest or "not built: --dry-run",
            "nodes pull": made.address,
            "version": made.version,
            "revision": made.revision,
            "platform": made.platform,
            "base": f"{made.base} (Python {made.python})",
            "environment": environment + (", was there" if made.environment_found else ""),
            "wheels": ", ".join(made.wheels),
            "left out": "; ".join(made.left_out),
        }
    )
    if made.unchanged:
        click.echo("nothing changed")
