"""What this machine and its plugins can do: `plugins`, `devices`, `doctor`. None of them needs a running engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from modelyard.cli.options import json_option
from modelyard.cli.printing import facts, print_json, size, table
from modelyard.cli.session import Session

if TYPE_CHECKING:
    from modelyard.api import Device, Finding, PluginRecord

_MARKS = {"ok": "✓", "info": "·", "warning": "!", "error": "✗"}


@click.group()
def plugins() -> None:
    """List plugins, and why one is broken."""


@plugins.command("list")
@click.option("--strict-plugins", is_flag=True, help="End with an error when any is broken.")
@json_option
@click.pass_obj
def list_plugins(session: Session, *, strict_plugins: bool, as_json: bool) -> None:
    """List every plugin that is installed, broken and disabled ones with their reason."""
    found = _plugins(session, strict=strict_plugins)
    if as_json:
        print_json({"plugins": found})
        return
    rows = [
        (p.name, p.state.value, p.distribution, p.version, p.api_level or "", p.maturity.value, p.reason)
        for p in found
    ]
    table(("NAME", "STATE", "DISTRIBUTION", "VERSION", "API", "MATURITY", "REASON"), rows)


@plugins.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show_plugin(session: Session, name: str, *, as_json: bool) -> None:
    """Show one plugin: its hooks and what it offers."""
    from modelyard.api import NotFound

    found = {plugin.name: plugin for plugin in _plugins(session, strict=False)}
    if name not in found:
        raise NotFound(f"no plugin is named {name!r}", remedy=f"installed are: {', '.join(sorted(found))}")
    plugin = found[name]
    if as_json:
        print_json(plugin)
        return
    facts(
        {
            "name": plugin.name,
            "state": plugin.state.value,
            "reason": plugin.reason,
            "distribution": f"{plugin.distribution} {plugin.version}",
            "api level": plugin.api_level,
            "maturity": plugin.maturity.value,
            "required": "yes" if plugin.required else "no",
            "hooks": ", ".join(plugin.hooks),
            "offers": ", ".join(plugin.offers),
        }
    )


@click.command()
@json_option
@click.pass_obj
def devices(session: Session, *, as_json: bool) -> None:
    """List this machine's devices and their health."""
    from modelyard.client import report

    found = cast("tuple[Device, ...]", report("devices", session.home))
    if as_json:
        print_json({"devices": found})
        return
    rows = [(d.id, d.kind, d.model, size(d.memory_bytes), d.health.value, d.reason) for d in found]
    table(("ID", "KIND", "MODEL", "MEMORY", "HEALTH", "REASON"), rows)


@click.command()
@json_option
@click.pass_obj
def doctor(session: Session, *, as_json: bool) -> None:
    """Check what this machine can do, and say how to mend each thing it cannot. Exit code 1: something blocks."""
    from modelyard.client import report

    findings = cast("tuple[Finding, ...]", report("doctor", session.home))
    if as_json:
        print_json({"findings": findings})
    else:
        for finding in findings:
            click.echo(
                f"{_MARKS[finding.severity.value]} {finding.check}: {finding.subject}: {finding.message}"
            )
            if finding.fix and finding.severity.value != "ok":
                click.echo(f"    fix: {finding.fix}")
    if any(finding.severity.value == "error" for finding in findings):
        raise click.exceptions.Exit(1)


def _plugins(session: Session, *, strict: bool) -> tuple[PluginRecord, ...]:
    from modelyard.client import report

    return cast("tuple[PluginRecord, ...]", report("plugins", session.home, strict=strict))
