"""A plan in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from modelyard.cli.printing import facts, size, table

if TYPE_CHECKING:
    from modelyard.api import Plan

_LEFT_OUT_SHOWN = 5


def print_plan(plan: Plan, *, brief: bool = False) -> None:
    """Print what would be done and why; `brief` leaves the settings out that nobody set."""
    facts(
        {
            "service": f"{plan.service} revision {plan.revision}",
            "changes": ", ".join(plan.changes) or "none: it runs as described",
            "steps": " > ".join(plan.steps),
            "packs": f"{plan.included_files} files, {size(plan.included_bytes)}",
            "left out": _left_out(plan.left_out),
            "environment": _environment(plan),
            "base": plan.base,
            "isolation": next((one.value for one in plan.settings if one.key == "isolation"), ""),
            "placement": "; ".join(plan.placements),
        }
    )
    for warning in plan.warnings:
        click.echo(f"warning: {warning}")
    if not brief:
        click.echo()
        table(
            ("SETTING", "VALUE", "SET BY"), [(s.key, _value(s.value, s.old), s.origin) for s in plan.settings]
        )


def _environment(plan: Plan) -> str:
    key = plan.environment_key[:12]
    if not key:
        return "to be resolved"
    if plan.environment_cached:
        return f"{key} (cached)"
    return f"{key} to be built" + (f": {plan.environment_why}" if plan.environment_why else "")


def _left_out(paths: tuple[str, ...]) -> str:
    more = len(paths) - _LEFT_OUT_SHOWN
    return ", ".join(paths[:_LEFT_OUT_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _value(value: str, old: str | None) -> str:
    return value if old is None or old == value else f"{old} -> {value}"
