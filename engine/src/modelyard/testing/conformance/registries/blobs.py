"""The promise of `Registry` about blobs."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from modelyard.api import Registry
from modelyard.testing.conformance.registries.making import ABSENT, BLOB_TYPE, CONTENT, COPIES, MODELS, read


class BlobPromises:
    """Blobs: kept whole, found by their digest, mounted from one repository into another."""

    def test_a_pushed_blob_is_read_back_whole(self, registry: Registry) -> None:
        """Its descriptor has its digest and size."""

        async def case() -> None:
            pushed = await registry.push_blob(MODELS, CONTENT, BLOB_TYPE)
            assert pushed.digest == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
            assert pushed.size == len(CONTENT)
            assert pushed.media_type == BLOB_TYPE
            assert await read(registry, MODELS, pushed.digest) == CONTENT

        asyncio.run(case())

    def test_a_file_and_its_bytes_are_the_same_blob(self, registry: Registry, tmp_path: Path) -> None:
        """And pushing twice changes nothing."""
        file = tmp_path / "weights"
        file.write_bytes(CONTENT)

        async def case() -> None:
            pushed = await registry.push_blob(MODELS, file, BLOB_TYPE)
            assert pushed == await registry.push_blob(MODELS, CONTENT, BLOB_TYPE)
            assert await read(registry, MODELS, pushed.digest) == CONTENT

        asyncio.run(case())

    def test_has_blob_tells_present_from_absent(self, registry: Registry) -> None:
        """Absent before the push, present after."""

        async def case() -> None:
            assert not await registry.has_blob(MODELS, ABSENT)
            pushed = await registry.push_blob(MODELS, CONTENT, BLOB_TYPE)
            assert await registry.has_blob(MODELS, pushed.digest)

        asyncio.run(case())

    def test_a_mounted_blob_can_be_read_where_it_was_mounted(self, registry: Registry) -> None:
        """True means it is there; what its source lacks gives False."""

        async def case() -> None:
            pushed = await registry.push_blob(MODELS, CONTENT, BLOB_TYPE)
            if await registry.mount(COPIES, pushed.digest, MODELS):
                assert await read(registry, COPIES, pushed.digest) == CONTENT
            assert not await registry.mount(COPIES, ABSENT, MODELS)

        asyncio.run(case())
