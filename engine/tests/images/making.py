"""A base image as somebody else made it, and a registry that is watched and may die."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
from modelyard.api import Artifact, Descriptor, GrowingFile, Maturity, Platform, Registry
from modelyard.images import Base, Repository, find_base
from modelyard.testing import InMemoryRegistry

AMD64 = Platform("linux", "amd64")
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
GZIP_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
BASES = "base/python"


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def base_layer() -> bytes:
    """A tiny tree as one tar."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        info = tarfile.TarInfo("usr/bin/python3")
        info.size, info.mode = 9, 0o755
        tar.addfile(info, io.BytesIO(b"#!/bin/sh"))
    return output.getvalue()


def base_config(**more: Any) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2025-05-05T05:05:05Z",
        "config": {
            "Env": ["PATH=/usr/bin", "LANG=C.UTF-8"],
            "Cmd": ["python3"],
            "User": "root",
            "Labels": {"org.opencontainers.image.version": "3.11.7", "vendor": "somebody"},
        },
        "rootfs": {"type": "layers", "diff_ids": [sha(base_layer())]},
        "history": [
            {"created": "2025-05-05T05:05:05Z", "created_by": "ADD rootfs"},
            {"created_by": "CMD", "empty_layer": True},
        ],
        **more,
    }


async def put_base(
    registry: Registry,
    *,
    tag: str = "3",
    config: object = None,
    config_type: str = CONFIG_TYPE,
    layer_type: str = GZIP_TYPE,
) -> Descriptor:
    """Store the base image."""
    squeezed = gzip.compress(base_layer(), mtime=0)
    layer = await registry.push_blob(BASES, squeezed, layer_type)
    content = json.dumps(config if config is not None else base_config()).encode()
    configured = await registry.push_blob(BASES, content, config_type)
    return await registry.push(BASES, Artifact(config_type, (layer,), config=configured), tag=tag)


async def made_base(registry: Registry) -> Base:
    """Store the base image and find it."""
    await put_base(registry)
    return await find_base(Repository(registry, BASES), "3", AMD64)


async def read(registry: Registry, repository: str, digest: str) -> bytes:
    return b"".join([chunk async for chunk in registry.read_blob(repository, digest)])


class Killed(BaseException):
    """What a test raises where a process would die: nothing may catch it and go on."""


@attrs.define
class Watched:
    """Passes everything on to a registry and remembers it; dies just before its call number `dies_at`."""

    inner: Registry
    dies_at: int = -1
    calls: list[tuple[str, str]] = attrs.field(factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def maturity(self) -> Maturity:
        return self.inner.maturity

    def address(self, repository: str) -> str:
        return self.inner.address(repository)

    async def list_tags(self, repository: str) -> tuple[str, ...]:
        self._reach("list_tags", repository)
        return await self.inner.list_tags(repository)

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        self._reach("resolve", reference)
        return await self.inner.resolve(repository, reference)

    async def resolve_platform(self, repository: str, reference: str, platform: Platform) -> Descriptor:
        self._reach("resolve_platform", reference)
        return await self.inner.resolve_platform(repository, reference, platform)

    async def has_blob(self, repository: str, digest: str) -> bool:
        self._reach("has_blob", digest)
        return await self.inner.has_blob(repository, digest)

    async def push_blob(self, repository: str, source: Path | bytes, media_type: str) -> Descriptor:
        self._reach("push_blob", media_type)
        return await self.inner.push_blob(repository, source, media_type)

    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        self._reach("push", tag)
        return await self.inner.push(repository, artifact, tag=tag)

    async def pull(self, repository: str, reference: str) -> Artifact:
        self._reach("pull", reference)
        return await self.inner.pull(repository, reference)

    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        self._reach("read_blob", digest)
        async for chunk in self.inner.read_blob(repository, digest):
            yield chunk

    async def mount(self, repository: str, digest: str, source: str) -> bool:
        self._reach("mount", digest)
        return await self.inner.mount(repository, digest, source)

    async def referrers(
        self, repository: str, digest: str, artifact_type: str = ""
    ) -> tuple[Descriptor, ...]:
        self._reach("referrers", digest)
        return await self.inner.referrers(repository, digest, artifact_type)

    async def delete(self, repository: str, reference: str) -> None:
        self._reach("delete", reference)
        await self.inner.delete(repository, reference)

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.calls)

    def _reach(self, method: str, what: str) -> None:
        if len(self.calls) == self.dies_at:
            raise Killed(f"before {method} {what}")
        self.calls.append((method, what))


@attrs.define
class OnAServer(InMemoryRegistry):
    """Implements `api.ServerRegistry`; it can mount what is in the registry `beside` it."""

    beside: InMemoryRegistry | None = None
    begun: list[int] = attrs.field(factory=list)
    """How much of each layer was there when its sending began."""
    asked: list[str] = attrs.field(factory=list)
    """Addresses it was to mount from."""

    async def push_growing(self, repository: str, source: GrowingFile) -> Descriptor:
        self.begun.append(await source.reach(1))
        blob = await source.whole()
        return await self.push_blob(repository, source.path, blob.media_type)

    async def mount_from(self, repository: str, digest: str, address: str) -> bool:
        self.asked.append(address)
        if self.beside is None:
            return False
        content = await read(self.beside, address.partition("/")[2], digest)
        await self.push_blob(repository, content, "x/y")
        return True
