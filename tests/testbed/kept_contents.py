"""What tests of `docker save` archives keep contents in, and the documents that name them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import attrs


@attrs.define
class Memory:
    """Keeps contents in memory."""

    kept: dict[str, bytes] = attrs.field(factory=dict)

    def store(self, chunks: Iterator[bytes], /) -> tuple[str, int]:
        content = b"".join(chunks)
        self.kept[digest(content)] = content
        return digest(content), len(content)

    def chunks(self, of: str, /) -> Iterator[bytes]:
        yield self.kept[of]


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def config(*layers: bytes) -> bytes:
    return json.dumps({"rootfs": {"diff_ids": [digest(layer) for layer in layers]}}).encode()
