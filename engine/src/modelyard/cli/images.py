"""Images, locks and what changed of them, in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from modelyard.cli.printing import facts, size, table

if TYPE_CHECKING:
    from modelyard.api import (
        ImageDetails,
        ImageEnvironment,
        ImageOutlook,
        ImageSummary,
        LockReport,
        PackageChange,
        PruneReport,
        TransferReport,
    )

_KEY_SHOWN = 12
_USERS_SHOWN = 4


def print_images(images: tuple[ImageSummary, ...]) -> None:
    """Print one line an image."""
    rows = [
        (
            _name(one),
            one.kind.value,
            one.platform,
            one.base,
            ", ".join(one.pythons),
            "" if one.packages is None else one.packages,
            size(one.size_bytes),
            _users(one.used_by),
        )
        for one in images
    ]
    table(("IMAGE", "KIND", "PLATFORM", "BASE", "PYTHON", "PACKAGES", "SIZE", "USED BY"), rows)


def print_image(image: ImageDetails) -> None:
    """Print everything of an image but its locks."""
    summary, inputs = image.summary, image.inputs
    facts(
        {
            "image": f"{summary.registry}/{summary.repository}:{summary.tag}",
            "kind": summary.kind.value,
            "key": image.key,
            "digest": summary.digest,
            "address": image.address or "none: other tools cannot reach this registry",
            "platform": summary.platform,
            "size": size(summary.size_bytes),
            "base": f"{inputs.base} ({inputs.base_digest})" if inputs else summary.base,
            "python": f"{inputs.python} was asked for" if inputs and inputs.python else "",
            "requirements": ", ".join(inputs.requirements) if inputs else "",
            "docker steps": "; ".join(inputs.docker_steps) if inputs else "",
            "conda": inputs.conda if inputs else "",
            "used by": ", ".join(summary.used_by) or "no revision",
        }
    )
    if image.environments:
        click.echo()
        table(
            ("ENVIRONMENT", "PYTHON", "RUNS", "PACKAGES"),
            [(one.prefix, one.python, _runner(one), _count(one.packages)) for one in image.environments],
        )
    click.echo()
    table(
        ("LAYER", "SIZE", "DIGEST"),
        [(layer.part, size(layer.size_bytes), layer.digest) for layer in image.layers],
    )
    if image.packages:
        click.echo()
        kinds = Counter(one.kind for one in image.packages)
        table(("BILL OF MATERIALS", "PACKAGES"), sorted(kinds.items()))
    click.echo()
    _print_vulnerabilities(image)


def _runner(environment: ImageEnvironment) -> str:
    if not environment.python:
        return "what is on top"
    return "the server" if environment.serving else "the script"


def _print_vulnerabilities(image: ImageDetails) -> None:
    for one in image.vulnerabilities:
        click.echo(f"vulnerable: {one}")
    if image.vulnerabilities_unknown:
        click.echo(f"vulnerabilities are unknown: {image.vulnerabilities_unknown}")
    elif not image.vulnerabilities:
        click.echo("no vulnerability is known of its Python packages")


def print_locks(image: ImageDetails) -> None:
    """Print the locks as pip and uv read them, each below a comment that says whose it is."""
    for one in image.environments:
        click.echo(f"# {one.prefix}" + (f", Python {one.python}" if one.python else ", of conda"))
        click.echo(one.lock, nl=False)


def print_outlook(outlook: ImageOutlook) -> None:
    """Print whether a deploy would find what it needs."""
    key = outlook.key[:_KEY_SHOWN]
    if outlook.found:
        click.echo(f"{outlook.service} would find its {outlook.kind} {key}: {outlook.place} has it")
    elif key:
        click.echo(f"{outlook.service} would not find its {outlook.kind} {key}: {outlook.why}")
    else:
        click.echo(f"whether {outlook.service} would find its {outlook.kind} is not known: {outlook.why}")


def print_lock(report: LockReport) -> None:
    """Print the packages of a lock."""
    facts(
        {
            "service": report.service,
            "lock key": report.lock_key,
            "platform": report.platform,
            "isolation": report.isolation,
        }
    )
    for environment in report.environments:
        python = f", Python {environment.python}" if environment.python else ""
        click.echo(f"\n{environment.name}{python}: {len(environment.packages)} packages")
        for package in environment.packages:
            click.echo(f"  {package}")


def print_changes(report: LockReport) -> None:
    """Print what a new lock changes, one line a package."""
    if not report.changes:
        click.echo(f"{report.service}: nothing changes")
    for change in report.changes:
        click.echo(_change(change, several=len(report.environments) > 1))


def print_transfer(report: TransferReport) -> None:
    """Print where an image is now."""
    click.echo(f"{report.target} is {report.digest}")
    click.echo(f"{size(report.sent_bytes)} of {size(report.total_bytes)} were sent, the rest was there")


def print_pruned(report: PruneReport) -> None:
    """Print what went, or would go, and why."""
    table(("REMOVED", "KIND", "WHY"), [(one.name, one.kind, one.why) for one in report.removed])
    done = "would be removed" if report.dry_run else "removed"
    click.echo(f"{len(report.removed)} {done}, {size(report.freed_bytes)} of images; {len(report.kept)} stay")


def _name(image: ImageSummary) -> str:
    if image.kind.value == "service":
        return f"{image.repository.rpartition('/')[2]}:{image.tag}"
    return image.tag[:_KEY_SHOWN]


def _users(users: tuple[str, ...]) -> str:
    more = len(users) - _USERS_SHOWN
    return ", ".join(users[:_USERS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _count(packages: int | None) -> str:
    return "not kept here" if packages is None else str(packages)


def _change(change: PackageChange, *, several: bool) -> str:
    where = f"{change.environment}: " if several else ""
    if not change.old:
        return f"+ {where}{change.name} {change.new}"
    if not change.new:
        return f"- {where}{change.name} {change.old}"
    return f"~ {where}{change.name} {change.old} -> {change.new}"
