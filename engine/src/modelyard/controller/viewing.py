"""What users see: views of services and of the engine, made of records and observations."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from importlib.metadata import version

from modelyard.api import EngineStatus, NotFound, RouterStatus, ServiceView
from modelyard.control import ServiceFacts, judge
from modelyard.controller.changing import log_folders
from modelyard.controller.crew import Crew
from modelyard.controller.inspecting import effective_settings
from modelyard.controller.merging import merged
from modelyard.controller.reconciling import Reconciling
from modelyard.store import RevisionRecord


def view_of(crew: Crew, name: str) -> ServiceView:
    """Show a service. Raises `NotFound`."""
    service = crew.memory.service(name)
    revision = crew.memory.serving(name) or crew.memory.revisions_of(name)[-1]
    operation = crew.memory.latest_operation(name)
    facts = _facts(crew, name, revision)
    health = judge(facts)
    host = f"{crew.settings.router.address}:{crew.settings.router.port}"
    scaling = revision.spec.scaling
    return ServiceView(
        name=name,
        state=health.state,
        url=f"http://{host}/api/v1/service/{name}/score",
        grpc_url=host,
        revision=service.revision,
        target=revision.spec.target,
        auth=revision.spec.auth,
        replicas=tuple(one for _, one in sorted(crew.fleet.replicas.items()) if one.service == name),
        replicas_wanted=service.wanted,
        in_flight=crew.loads.average(name, since=crew.parts.clock() - scaling.refresh_seconds) or 0.0,
        message=health.message,
        remedy=health.remedy,
        operation=operation,
        revisions=tuple(one.summary() for one in crew.memory.revisions_of(name)),
        settings=effective_settings(revision.spec, revision),
        description=revision.spec.description,
        tags=dict(revision.spec.tags),
    )


def status_of(crew: Crew, reconciling: Reconciling) -> EngineStatus:
    """Show the engine."""
    xds = crew.xds.status
    settings = crew.settings.router
    return EngineStatus(
        version=version("modelyard"),
        pid=os.getpid(),
        home=str(crew.home.state),
        router=RouterStatus(
            connected=xds.connected,
            url=f"http://{settings.address}:{settings.port}",
            version=xds.version,
            nack=xds.nack or reconciling.router_trouble,
            pid=crew.parts.router.pid,
        ),
        services=len(crew.memory.services),
    )


async def logs_of(
    crew: Crew, name: str, *, replica: str | None, lines: int, follow: bool
) -> AsyncIterator[str]:
    """Give log lines of one replica, or of all with the replica's name in front."""
    crew.memory.service(name)
    revision = crew.memory.serving(name) or crew.memory.revisions_of(name)[-1]
    target = crew.fleet.target_of(revision)
    present = sorted(one.id for one in crew.fleet.replicas.values() if one.service == name)
    past = [one.name for one in log_folders(crew.home.logs / "replicas", name)]
    if replica is not None and replica not in (*present, *past):
        there = ", ".join((*present, *past)) or "none yet"
        raise NotFound(f"{name!r} has no replica {replica!r}", remedy=f"replicas with logs: {there}")
    chosen = [replica] if replica is not None else present or past[-1:]
    streams = {one: target.logs(one, lines=lines, follow=follow) for one in chosen}
    if len(streams) == 1:
        async for line in next(iter(streams.values())):
            yield line
        return
    async for source, line in merged(streams):
        yield f"[{source}] {line}"


def _facts(crew: Crew, name: str, revision: RevisionRecord) -> ServiceFacts:
    service = crew.memory.service(name)
    seen = crew.fleet.replicas
    grants = crew.memory.wanted_grants(name, service.revision)
    newest = crew.memory.revisions_of(name)[-1]
    trouble = crew.routing.trouble.get(name, "") or crew.fleet.trouble_of(revision)
    return ServiceFacts(
        serving_revision=service.revision,
        wanted=service.wanted,
        replicas=tuple(seen[one.replica] for one in grants if one.replica in seen),
        operation=crew.memory.latest_operation(name),
        trouble=trouble,
        failure=newest.cause,
        failure_remedy=newest.remedy,
    )
