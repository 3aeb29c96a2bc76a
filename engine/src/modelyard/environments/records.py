"""Records of locks: a specification that was solved once is never solved again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from modelyard.api import Artifact, NotFound, Registry

REPOSITORY = "environments"
ARTIFACT_TYPE = "application/vnd.modelyard.environment.v1"
LOCK_TYPE = "application/vnd.modelyard.environment.lock.v1+text"
_MOST_TEXTS = 64


class LockRecords(Protocol):
    """Where lock texts are kept by spec key."""

    async def load(self, spec_key: str) -> str | None:
        """Return the lock's text, None when there is none."""
        ...

    async def save(self, spec_key: str, text: str) -> None:
        """Keep the lock's text; replaces an older one."""
        ...


class LockTexts:
    """Texts of locks by the digest of their record, which never changes; the oldest is forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()

    def get(self, digest: str) -> str | None:
        """Give the text of a record that was read before."""
        return self._known.get(digest)

    def keep(self, digest: str, text: str) -> None:
        """Remember the text of a record."""
        self._known[digest] = text
        if len(self._known) > _MOST_TEXTS:
            self._known.popitem(last=False)


class RegistryLockRecords:
    """Lock records as artifacts of a registry: repository `environments`, tag = the spec key."""

    def __init__(self, registry: Registry, texts: LockTexts | None = None) -> None:
        self._registry = registry
        self._texts = texts or LockTexts()

    async def load(self, spec_key: str) -> str | None:
        """Read the lock, digest-checked by the registry; of one that was read before only its name is asked for."""
        try:
            record = await self._registry.resolve(REPOSITORY, spec_key)
            text = self._texts.get(record.digest)
            return await self._read(record.digest) if text is None else text
        except NotFound:
            return None

    async def save(self, spec_key: str, text: str) -> None:
        """Push the lock, then move the tag."""
        layer = await self._registry.push_blob(REPOSITORY, text.encode(), LOCK_TYPE)
        artifact = Artifact(
            artifact_type=ARTIFACT_TYPE,
            layers=(layer,),
            annotations={"io.modelyard.environment.spec-key": spec_key},
        )
        await self._registry.push(REPOSITORY, artifact, tag=spec_key)

    async def _read(self, digest: str) -> str | None:
        artifact = await self._registry.pull(REPOSITORY, digest)
        locks = [one for one in artifact.layers if one.media_type == LOCK_TYPE]
        if not locks:
            return None
        chunks = [chunk async for chunk in self._registry.read_blob(REPOSITORY, locks[0].digest)]
        text = b"".join(chunks).decode()
        self._texts.keep(digest, text)
        return text
