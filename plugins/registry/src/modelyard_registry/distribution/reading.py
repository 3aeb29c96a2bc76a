"""Read what a registry sends, with bounds: size and pace of a reply are the other side's choice."""

from __future__ import annotations

import asyncio

from modelyard.api import StoreDamaged

from modelyard_registry.distribution.messages import Cut, Reply

WHOLE_SECONDS = 60.0
"""A small answer that takes longer is dripped on purpose, or comes over no usable network."""


async def read_whole(reply: Reply, most_bytes: int, place: str) -> bytes:
    """Read a small body to its end; `Cut` when it ends early or takes for ever."""
    content = bytearray()
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            async for piece in reply.pieces():
                content += piece
                if len(content) > most_bytes:
                    raise _endless(most_bytes, place)
    except TimeoutError as failure:
        raise Cut(f"a small answer was not whole after {WHOLE_SECONDS:g} s") from failure
    return bytes(content)


def _endless(most_bytes: int, place: str) -> StoreDamaged:
    return StoreDamaged(
        f"the registry sends over {most_bytes} bytes where a small answer belongs",
        place=place,
        remedy="look whether a registry is at this address",
    )
