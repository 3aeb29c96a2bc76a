"""Records of locks: a specification that was solved once is never solved again."""

from __future__ import annotations

from typing import Protocol

from modelyard.api import Artifact, NotFound, Registry

REPOSITORY = "environments"
ARTIFACT_TYPE = "application/vnd.modelyard.environment.v1"
LOCK_TYPE = "application/vnd.modelyard.environment.lock.v1+text"


class LockRecords(Protocol):
    """Where lock texts are kept by spec key."""

    async def load(self, spec_key: str) -> str | None:
        """Return the lock's text, None when there is none."""
        ...

    async def save(self, spec_key: str, text: str) -> None:
        """Keep the lock's text; replaces an older one."""
        ...


class RegistryLockRecords:
    """Lock records as artifacts of a registry: repository `environments`, tag = the spec key."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def load(self, spec_key: str) -> str | None:
        """Read the lock, digest-checked by the registry."""
        try:
            artifact = await self._registry.pull(REPOSITORY, spec_key)
            layer = next(one for one in artifact.layers if one.media_type == LOCK_TYPE)
            chunks = [chunk async for chunk in self._registry.read_blob(REPOSITORY, layer.digest)]
        except (NotFound, StopIteration):
            return None
        return b"".join(chunks).decode()

    async def save(self, spec_key: str, text: str) -> None:
        """Push the lock, then move the tag."""
        layer = await self._registry.push_blob(REPOSITORY, text.encode(), LOCK_TYPE)
        artifact = Artifact(
            artifact_type=ARTIFACT_TYPE,
            layers=(layer,),
            annotations={"io.modelyard.environment.spec-key": spec_key},
        )
        await self._registry.push(REPOSITORY, artifact, tag=spec_key)
