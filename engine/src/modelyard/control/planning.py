"""Build a plan from observed facts, and refuse what nothing installed can serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from modelyard.api import Plan, Refusal, ServiceSpec, Setting
from modelyard.control.rollout import STEPS


@attrs.frozen
class Installed:
    """Names a spec may pick from, by what it picks: active plugins' records and the engine's own."""

    targets: frozenset[str]
    authenticators: frozenset[str]
    scalers: frozenset[str]
    device_kinds: frozenset[str]
    registries: frozenset[str]


@attrs.frozen
class PlanFacts:
    """Everything a plan is made of; gathered by the controller, judged here."""

    spec: ServiceSpec
    revision: int
    changed_keys: tuple[str, ...]
    settings: tuple[Setting, ...]
    old_settings: Mapping[str, str] = attrs.field(factory=dict)
    code_changed: bool = True
    models_changed: bool = False
    included_files: int = 0
    included_bytes: int = 0
    left_out: tuple[str, ...] = ()
    environment_key: str = ""
    environment_cached: bool = False
    environment_why: str = ""
    base: str = ""
    placements: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def missing(spec: ServiceSpec, installed: Installed, *, registry: str) -> tuple[Refusal, ...]:
    """Refuse every name that nothing installed answers to, saying what there is."""
    asked = [
        ("target", spec.target, installed.targets, "unknown_target"),
        ("auth", spec.auth, installed.authenticators | {"none"}, "unknown_auth"),
        ("scaling.scaler", spec.scaling.scaler, installed.scalers, "unknown_scaler"),
        ("registry (settings.yaml)", registry, installed.registries, "unknown_registry"),
    ]
    found = [_refusal(*one) for one in asked if one[1] not in one[2]]
    kinds = {wish.kind for wish in spec.resources.accelerator}
    # A preference list is a list of wishes: one kind that is installed is enough.
    if not kinds & installed.device_kinds:
        wanted = ", ".join(sorted(kinds))
        found.append(_refusal("resources.accelerator", wanted, installed.device_kinds, "unknown_accelerator"))
    return tuple(found)


def build_plan(facts: PlanFacts) -> Plan:
    """Put the facts in order; no changes means that a deploy has nothing to do."""
    return Plan(
        service=facts.spec.name,
        revision=facts.revision,
        changes=_changes(facts),
        steps=STEPS,
        settings=tuple(_with_old(one, facts.old_settings) for one in facts.settings),
        included_files=facts.included_files,
        included_bytes=facts.included_bytes,
        left_out=facts.left_out,
        environment_key=facts.environment_key,
        environment_cached=facts.environment_cached,
        environment_why=facts.environment_why,
        base=facts.base,
        placements=facts.placements,
        warnings=facts.warnings,
        refusals=facts.refusals,
    )


def _changes(facts: PlanFacts) -> tuple[str, ...]:
    content = [("code", facts.code_changed), ("models", facts.models_changed)]
    named = [key for key in facts.changed_keys if key not in ("code", "models")]
    return (*(name for name, changed in content if changed), *named)


def _with_old(setting: Setting, old: Mapping[str, str]) -> Setting:
    before = old.get(setting.key)
    return setting if before in (None, setting.value) else attrs.evolve(setting, old=before)


def _refusal(key: str, value: str, there: Sequence[str] | frozenset[str], code: str) -> Refusal:
    names = ", ".join(sorted(there)) or "none"
    return Refusal(
        plugin="engine",
        code=code,
        message=f"{key}: nothing installed serves {value!r}; installed: {names}",
        remedy=f"use one of {names}, or install a plugin that offers {value!r}",
    )
