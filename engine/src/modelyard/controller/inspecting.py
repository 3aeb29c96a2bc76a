"""Gather the facts of a plan: files, environment, what is installed, where replicas would go."""

from __future__ import annotations

import attrs

from modelyard.api import (
    Finding,
    Plan,
    Refusal,
    ScalingSpec,
    ServiceSpec,
    Setting,
    Severity,
    SystemError_,
)
from modelyard.control import (
    Installed,
    PlanFacts,
    build_plan,
    effective_scaling,
    missing,
    replicas_for,
    with_isolation,
)
from modelyard.controller.crew import Crew
from modelyard.controller.memory import recent_keys
from modelyard.controller.ports import Inspection
from modelyard.host import survey_checks
from modelyard.spec import changed_keys, settings_of
from modelyard.store import RevisionRecord


async def make_plan(crew: Crew, spec: ServiceSpec, *, frozen: bool = False) -> Plan:
    """Say what a deploy of this spec would do, `frozen` with stored locks alone; change nothing."""
    refusals = missing(spec, installed(crew), registry=crew.settings.registry)
    target = crew.host.targets.get(spec.target)
    if target is not None:
        refusals = (*refusals, *target.refuse(spec))
    old = crew.memory.serving(spec.name)
    facts = PlanFacts(
        spec=spec,
        revision=next_revision(crew, spec.name),
        changed_keys=changed_keys(_as_it_runs(crew, old) if old else None, spec),
        settings=settings_of(spec),
        old_settings={one.key: one.value for one in effective_settings(_as_it_runs(crew, old), old)}
        if old
        else {},
        refusals=refusals,
    )
    if refusals:  # what nobody can serve is not looked into further
        return build_plan(facts)
    seen = await crew.parts.artifacts.inspect(
        spec,
        crew.host.targets[spec.target],
        frozen=frozen,
        recent=recent_keys(crew.memory.revisions.values()),
    )
    facts = _with_files(crew, facts, old, seen)
    return build_plan(await _with_places(crew, facts))


def effective_settings(spec: ServiceSpec, revision: RevisionRecord) -> tuple[Setting, ...]:
    """Give a deployed spec's settings with what was found out while it was deployed."""
    isolation = revision.isolation if revision.environment_path else ""
    return with_isolation(settings_of(spec), isolation, revision.isolation_why)


def next_revision(crew: Crew, service: str) -> int:
    """Give the next revision's number; a service that was deleted begins anew."""
    return max((one.number for one in crew.memory.revisions_of(service)), default=0) + 1


def installed(crew: Crew) -> Installed:
    """Name everything a spec may pick from."""
    host = crew.host
    return Installed(
        targets=frozenset(host.targets),
        authenticators=frozenset(host.authenticators),
        scalers=frozenset(host.scalers),
        device_kinds=frozenset(one.kind for one in host.devices.values()),
        registries=frozenset(host.registries),
    )


async def run_checks(crew: Crew) -> tuple[Finding, ...]:
    """Run every plugin's checks, and look at what only a running controller knows."""
    return (*await survey_checks(crew.host), *_own_findings(crew))


def _own_findings(crew: Crew) -> list[Finding]:
    strays = [one.id for one in crew.fleet.strays() if one.service not in crew.memory.services]
    found = [
        Finding(
            "engine", name, Severity.ERROR, reason, "`engine plugins list` says what became of its plugin"
        )
        for name, reason in crew.fleet.lost.items()
    ]
    if strays:
        fix = "deploy the service again, or `engine down` to stop them"
        found.append(
            Finding("engine", "replicas", Severity.WARNING, f"of no known service: {', '.join(strays)}", fix)
        )
    if crew.routing.refusal:
        message = f"it refused its newest configuration: {crew.routing.refusal}"
        found.append(Finding("engine", "router", Severity.ERROR, message, "see `router.log`"))
    return found


def _as_it_runs(crew: Crew, old: RevisionRecord) -> ServiceSpec:
    """Give the serving spec with the bounds that were set by hand, so that a plan shows their loss."""
    bounds = crew.memory.services[old.service].bounds
    scaling: ScalingSpec = effective_scaling(old.spec.scaling, bounds)
    return attrs.evolve(old.spec, scaling=scaling)


def _with_files(crew: Crew, facts: PlanFacts, old: RevisionRecord | None, seen: Inspection) -> PlanFacts:
    spec = facts.spec
    why = ""
    if not seen.environment_cached:
        before = old.spec.environment if old else None
        why = seen.environment_why or crew.parts.artifacts.explain_miss(before, spec.environment)
    return attrs.evolve(
        facts,
        code_changed=old is None or old.code_digest != seen.code_digest,
        models_changed=(old.model_digests if old else ()) != seen.model_digests,
        included_files=seen.files,
        included_bytes=seen.total_bytes,
        left_out=seen.left_out,
        environment_key=seen.environment_key,
        environment_cached=seen.environment_cached,
        environment_why=why,
        base=seen.base,
        settings=with_isolation(facts.settings, seen.isolation, seen.isolation_why),
    )


async def _with_places(crew: Crew, facts: PlanFacts) -> PlanFacts:
    spec = facts.spec
    service = crew.memory.services.get(spec.name)
    count = replicas_for(spec.scaling, service.wanted if service and service.revision else 0)
    try:
        tried = await crew.allotting.try_out(crew.host.targets[spec.target], spec, facts.revision, count)
    except SystemError_ as error:
        refusal = Refusal(
            plugin=getattr(error, "plugin", "engine"),
            code=error.code,
            message=error.message,
            remedy=error.remedy,
            retryable=error.retryable,
        )
        return attrs.evolve(facts, refusals=(refusal,))
    return attrs.evolve(facts, placements=tried.stories, refusals=tried.refusals)
