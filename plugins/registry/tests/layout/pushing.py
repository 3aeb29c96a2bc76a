"""What the tests of the layout folder share: a clock, and pushing and reading in one line."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from modelyard.api import Artifact, Descriptor
from modelyard_registry.layout import OciLayoutRegistry

REPOSITORY = "models/digits"
TYPE = "application/vnd.modelyard.test"
T = TypeVar("T")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def push(registry: OciLayoutRegistry, content: bytes, tag: str = "1") -> Descriptor:
    layer = await registry.push_blob(REPOSITORY, content, "application/octet-stream")
    return await registry.push(REPOSITORY, Artifact(TYPE, (layer,), {"author": "a test"}), tag=tag)


async def read(registry: OciLayoutRegistry, digest: str) -> bytes:
    return b"".join([chunk async for chunk in registry.read_blob(REPOSITORY, digest)])


def blob_files(registry: OciLayoutRegistry) -> set[str]:
    return {file.name for file in registry.layout.blobs.iterdir()}


def hex_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
