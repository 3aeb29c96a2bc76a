"""A file that grows a step each time somebody waits for it."""

from __future__ import annotations

from pathlib import Path

import attrs
from modelyard.api import Descriptor, SystemError_

from plugins.registry.tests.distribution.fake import digest_of

TYPE = "application/octet-stream"


@attrs.define
class GrowingContent:
    """Implements `api.GrowingFile`; `fails_at` bytes its writer comes to grief."""

    path: Path
    content: bytes
    step: int = 700
    fails_at: int | None = None
    size: int = 0

    @property
    def is_whole(self) -> bool:
        return self.size == len(self.content)

    async def reach(self, size: int) -> int:
        while self.size < size and not self.is_whole:
            self._grow()
        return self.size

    async def whole(self) -> Descriptor:
        await self.reach(len(self.content))
        return Descriptor(TYPE, digest_of(self.content), len(self.content))

    def _grow(self) -> None:
        if self.fails_at is not None and self.size >= self.fails_at:
            raise SystemError_("the disk is full", place=str(self.path), remedy="make room")
        with self.path.open("ab") as file:
            file.write(self.content[self.size : self.size + self.step])
        self.size = min(self.size + self.step, len(self.content))
