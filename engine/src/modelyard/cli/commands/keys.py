"""`keys`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from modelyard.cli.options import json_option, service_argument
from modelyard.cli.printing import facts, print_json
from modelyard.cli.session import Session

if TYPE_CHECKING:
    from modelyard.api import KeyPair, KeySlot, Secret

_SLOT = click.Choice(["primary", "secondary"])
_SLOTS_SHOWN = 7


@click.command()
@service_argument
@click.option(
    "--reveal",
    type=click.Choice(["primary", "secondary", "both"]),
    is_flag=False,
    flag_value="both",
    help="Print a key in clear: just the key when one is named.",
)
@click.option("--rotate", type=_SLOT, help="Replace one key; the other one stays.")
@click.option("--value-stdin", is_flag=True, help="Take the new key from standard input.")
@json_option
@click.pass_obj
def keys(
    session: Session,
    name: str,
    reveal: str | None,
    rotate: KeySlot | None,
    *,
    value_stdin: bool,
    as_json: bool,
) -> None:
    """Show the two keys of NAME (masked unless revealed), or rotate one."""
    if value_stdin and rotate is None:
        raise click.UsageError("--value-stdin goes with --rotate")
    value = _from_stdin() if value_stdin else None
    pair = session.client.rotate_key(name, rotate, value) if rotate else session.client.keys(name)
    if rotate and not as_json:
        click.echo(f"the {rotate} key of {name} is replaced; the old one is refused from now on", err=True)
    _print(pair, reveal, as_json=as_json)


def _print(pair: KeyPair, reveal: str | None, *, as_json: bool) -> None:
    shown = {
        slot: secret.reveal() if reveal in (slot, "both") else _masked(secret)
        for slot, secret in (("primary", pair.primary), ("secondary", pair.secondary))
    }
    if as_json:
        print_json(shown)
    elif reveal in shown:
        click.echo(shown[reveal])
    else:
        facts(shown)


def _masked(secret: Secret) -> str:
    return f"{secret.reveal()[:_SLOTS_SHOWN]}…"


def _from_stdin() -> Secret:
    from modelyard.api import Secret

    return Secret(sys.stdin.read().strip())
