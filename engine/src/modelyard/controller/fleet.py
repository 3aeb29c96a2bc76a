"""The replicas as targets see them, and what is asked of targets. A target that fails is remembered as lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import attrs

from modelyard.api import (
    ImageRef,
    ImageTarget,
    Registry,
    Replica,
    ReplicaPhase,
    ReplicaPlan,
    Target,
    Unavailable,
    Workload,
)
from modelyard.control import EXTRA_REQUIREMENTS
from modelyard.controller.artifacts.trusting import Trust
from modelyard.controller.memory import Memory
from modelyard.controller.pulse import Pulse
from modelyard.host import Host
from modelyard.images import APPLICATION, CODE
from modelyard.store import GrantRecord, RevisionRecord

log = logging.getLogger(__name__)

OBSERVE_SECONDS = 10.0
"""A target that takes longer to tell what it sees counts as lost."""


class Fleet:
    """All replicas of this engine."""

    def __init__(self, host: Host, memory: Memory, clock: Callable[[], float], trust: Trust) -> None:
        self._host = host
        self._trust = trust
        self._memory = memory
        self._clock = clock
        self._seen: dict[str, tuple[Replica, ...]] = {}
        self._seen_at: dict[str, float] = {}
        self.lost: dict[str, str] = {}
        self.observed = Pulse()

    @property
    def replicas(self) -> Mapping[str, Replica]:
        """Every replica last seen, by id."""
        return MappingProxyType({one.id: one for seen in self._seen.values() for one in seen})

    def seen_since(self, target: str, at: float) -> bool:
        """Say whether what is known of a target is newer than `at`."""
        return self._seen_at.get(target, 0.0) > at

    async def observe(self) -> None:
        """Ask every target what it sees; keep the last word of one that does not answer."""
        targets = dict(self._host.targets)
        answers = await asyncio.gather(*(_ask(one) for one in targets.values()), return_exceptions=True)
        for (name, _), answer in zip(targets.items(), answers, strict=True):
            self._take(name, answer)
        self.observed.beat()

    def target_of(self, revision: RevisionRecord) -> Target:
        """Give the target of a revision. Raises `Unavailable` when its plugin is gone."""
        name = revision.spec.target
        target = self._host.targets.get(name)
        if target is None:
            raise Unavailable(
                f"no active plugin offers the target {name!r}; its replicas keep running, unobserved",
                place=revision.service,
                remedy="`engine plugins list` says what became of its plugin",
            )
        return target

    async def start(self, revision: RevisionRecord, grants: Sequence[GrantRecord]) -> None:
        """Make replicas exist; those that live already are left alone."""
        if not grants:
            return
        target = self.target_of(revision)
        if isinstance(target, ImageTarget) and revision.image is not None:
            registry = self._registry(revision.image)
            await self._trust.verify(revision.image, registry)
            await target.bring(revision.image, registry, on_line=log.info)
        await target.apply(workload(revision, grants))

    def ready(self, grant: GrantRecord) -> str:
        """Give the address of a replica that may have traffic; empty when it may not.

        While its target is out of sight, that is where it was last seen ready.
        """
        revision = self._memory.revisions.get((grant.service, grant.revision))
        if revision is not None and revision.spec.target not in self._seen:
            return grant.address
        seen = self.replicas.get(grant.replica)
        return seen.address if seen is not None and seen.phase is ReplicaPhase.READY else ""

    def _registry(self, image: ImageRef) -> Registry:
        registry = self._host.registries.get(image.registry)
        if registry is None:
            raise Unavailable(
                f"no active plugin offers the registry {image.registry!r}, which has the image",
                place=str(image),
                remedy="`engine plugins list` says what became of its plugin",
            )
        return registry

    def trouble_of(self, revision: RevisionRecord) -> str:
        """Say in one line why a revision's target cannot be asked; empty when it can."""
        name = revision.spec.target
        if name not in self._host.targets:
            return f"no active plugin offers the target {name!r}"
        return self.lost.get(name, "")

    def strays(self) -> list[Replica]:
        """List replicas that nobody planned: an older store was put back, or a file was lost."""
        return [one for one in self.replicas.values() if one.id not in self._memory.grants]

    def _take(self, name: str, answer: tuple[Replica, ...] | BaseException) -> None:
        if not isinstance(answer, BaseException):
            self._seen[name] = tuple(answer)
            self._seen_at[name] = self._clock()
            self.lost.pop(name, None)
            return
        if isinstance(answer, asyncio.CancelledError):
            raise answer
        if name not in self.lost:
            log.warning("target %s cannot be observed", name, exc_info=answer)
        self.lost[name] = f"target {name!r} cannot be observed: {str(answer) or type(answer).__name__}"


def workload(revision: RevisionRecord, grants: Sequence[GrantRecord]) -> Workload:
    """Put together what a target needs to start these replicas."""
    made = Workload(
        spec=revision.spec,
        revision=revision.number,
        environment=revision.environment_path,
        code_dir=revision.code_dir,
        model_dir=revision.model_dir,
        replicas=tuple(ReplicaPlan(id=one.replica, node=one.node, grant=one.grant) for one in grants),
        app_root=revision.models_root,
        worker_environment=revision.worker_environment_path,
        image=revision.image,
    )
    return made if revision.image is None else _inside_image(made)


def _inside_image(made: Workload) -> Workload:
    """Say where code and models lie in the image; what was to be installed at the start is in it already."""
    below = made.model_dir.removeprefix(made.app_root) if made.app_root else ""
    environment = made.spec.environment
    variables = {k: v for k, v in environment.variables.items() if k != EXTRA_REQUIREMENTS}
    spec = attrs.evolve(made.spec, environment=attrs.evolve(environment, variables=variables))
    return attrs.evolve(
        made,
        spec=spec,
        code_dir=str(CODE),
        app_root=str(APPLICATION) if made.app_root else "",
        model_dir=f"{APPLICATION}{below}" if made.model_dir else "",
    )


async def _ask(target: Target) -> tuple[Replica, ...]:
    async with asyncio.timeout(OBSERVE_SECONDS):
        return await target.observe()
