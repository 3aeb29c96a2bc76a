"""What looks at services: `list`, `show`, `logs`, `scaling`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from modelyard.cli.options import json_option, service_argument
from modelyard.cli.printing import facts, moment, print_json, size, table
from modelyard.cli.session import Session

if TYPE_CHECKING:
    from modelyard.api import ServiceView


@click.command("list")
@json_option
@click.pass_obj
def list_services(session: Session, *, as_json: bool) -> None:
    """List the services."""
    services = session.client.services()
    if as_json:
        print_json({"services": services})
        return
    rows = [(s.name, s.state.value, s.revision, _replicas(s), f"{s.in_flight:g}", s.url) for s in services]
    table(("NAME", "STATE", "REVISION", "READY", "IN FLIGHT", "URL"), rows)


@click.command()
@service_argument
@json_option
@click.pass_obj
def show(session: Session, name: str, *, as_json: bool) -> None:
    """Show NAME: where it answers, its replicas and revisions, and what is wrong if something is."""
    service = session.client.service(name)
    if as_json:
        print_json(service)
        return
    facts(
        {
            "name": service.name,
            "description": service.description,
            "state": service.state.value,
            "cause": service.message,
            "remedy": service.remedy,
            "url": service.url,
            "grpc": f"{service.grpc_url}  (metadata modelyard-service: {service.name})",
            "auth": service.auth,
            "target": service.target,
            "revision": service.revision,
            "replicas": f"{_replicas(service)} ready, {service.replicas_wanted} wanted",
            "in flight": f"{service.in_flight:g}",
            "tags": ", ".join(f"{key}={value}" for key, value in service.tags.items()),
        }
    )
    click.echo()
    table(
        ("REPLICA", "PHASE", "PID", "MEMORY", "IN FLIGHT", "RESTARTS", "CAUSE"),
        [
            (r.id, r.phase.value, r.pid or "", size(r.resident_bytes), r.in_flight, r.restarts, r.cause)
            for r in service.replicas
        ],
    )
    click.echo()
    table(
        ("REVISION", "CREATED", "OUTCOME", "CODE", "ENVIRONMENT", "CAUSE"),
        [
            (r.number, moment(r.created_at), r.outcome, r.code_digest[:12], r.environment_key[:12], r.cause)
            for r in service.revisions
        ],
    )


@click.command()
@service_argument
@click.option("--replica", help="One replica's log only.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=100, show_default=True, help="The last so many lines."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with every new line, until Ctrl-C.")
@json_option
@click.pass_obj
def logs(
    session: Session, name: str, replica: str | None, lines: int, *, follow: bool, as_json: bool
) -> None:
    """Print what the replicas of NAME wrote: your prints, your errors, the server's."""
    try:
        for line in session.client.logs(name, replica=replica, lines=lines, follow=follow):
            print_json(line) if as_json else click.echo(line)
    except KeyboardInterrupt:
        if not follow:
            raise


@click.command()
@service_argument
@click.option("-n", "--last", type=click.IntRange(1), default=20, show_default=True, help="The last so many.")
@json_option
@click.pass_obj
def scaling(session: Session, name: str, last: int, *, as_json: bool) -> None:
    """Show the scaler's decisions for NAME, each with its numbers."""
    records = session.client.scaling(name)[-last:]
    if as_json:
        print_json({"decisions": records})
        return
    table(
        ("AT", "REPLICAS", "WANTED", "IN FLIGHT", "UTILIZATION", "REASON"),
        [
            (
                moment(r.at),
                r.replicas,
                r.wanted,
                f"{r.in_flight:.2f}",
                f"{r.utilization_percent:.0f} %",
                r.reason,
            )
            for r in records
        ],
    )


def _replicas(service: ServiceView) -> int:
    return sum(replica.phase.value == "ready" for replica in service.replicas)
