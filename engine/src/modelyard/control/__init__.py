"""Pure decisions: plan, place, allocate, scale, roll out, drain, judge, compare, prune.

Values in, values out. Never here: I/O, a clock, randomness, a plugin, anything that waits.
May import `api` alone.
"""

from modelyard.control.allocating import Walk, requests_of
from modelyard.control.comparing import changes_of
from modelyard.control.draining import DrainFacts, DrainStep, next_drain_step
from modelyard.control.isolating import EXTRA_REQUIREMENTS, Wish, wish, with_isolation
from modelyard.control.lifecycle import Health, ServiceFacts, judge
from modelyard.control.placing import Assessment, Placement, choose, spend
from modelyard.control.planning import Installed, PlanFacts, build_plan, missing
from modelyard.control.pruning import Fate, Thing, Verdict, decide, freed_bytes
from modelyard.control.rollout import (
    COMMIT_STEP,
    STEPS,
    Readiness,
    Resume,
    replicas_for,
    resume_at,
    step_after,
    traffic,
    verdict,
)
from modelyard.control.scaling import BusyScaler, effective_scaling, excess, rescale

__all__ = [
    "COMMIT_STEP",
    "EXTRA_REQUIREMENTS",
    "STEPS",
    "Assessment",
    "BusyScaler",
    "DrainFacts",
    "DrainStep",
    "Fate",
    "Health",
    "Installed",
    "Placement",
    "PlanFacts",
    "Readiness",
    "Resume",
    "ServiceFacts",
    "Thing",
    "Verdict",
    "Walk",
    "Wish",
    "build_plan",
    "changes_of",
    "choose",
    "decide",
    "effective_scaling",
    "excess",
    "freed_bytes",
    "judge",
    "missing",
    "next_drain_step",
    "replicas_for",
    "requests_of",
    "rescale",
    "resume_at",
    "spend",
    "step_after",
    "traffic",
    "verdict",
    "wish",
    "with_isolation",
]
