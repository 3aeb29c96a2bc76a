"""The parent's way up: follows the controller's ADS, passes Envoy's verdicts and load on to it.

The controller may be away at any time; then the relay keeps what it has and tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from modelyard.router import protos
from modelyard.router.discovery import Hub
from modelyard.router.protos import Answer, Ask, ControlPlane, Stream
from modelyard.router.resources import TypedResources

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_LOAD_BACKLOG = 16
"""Reports kept while the controller is slow; older ones say nothing that matters any more."""


class Relay:
    """Feeds `hub` from the controller at `upstream`; call `settle` whenever Envoy said something."""

    def __init__(self, upstream: Path, hub: Hub, *, node: str) -> None:
        self._upstream = upstream
        self._hub = hub
        self._node = node
        self._heard = False
        self._pending: dict[str, Answer] = {}
        self._settle = asyncio.Event()
        self._loads: asyncio.Queue[bytes] = asyncio.Queue(_LOAD_BACKLOG)

    def settle(self) -> None:
        """Look whether Envoy took, or refused, what is still unanswered upstream."""
        self._settle.set()

    def report(self, load: bytes) -> None:
        """Pass a load report on; the oldest goes when the controller does not keep up."""
        if self._loads.full():
            self._loads.get_nowait()
        self._loads.put_nowait(load)

    async def run(self) -> None:
        """Follow the controller until cancelled."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._heard = False
            self._pending.clear()
            plane = ControlPlane(self._upstream)
            with contextlib.suppress(*protos.STREAM_ERRORS):
                await self._follow(plane)
            await plane.close()
            pause = _FIRST_PAUSE_SECONDS if self._heard else min(pause * 2, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def _follow(self, plane: ControlPlane) -> None:
        stream = plane.discover()
        for url in protos.TYPES:
            await stream.write(Ask(url, node=self._node))
        jobs = [self._listen(stream), self._answer(stream), self._send_load(plane.report_load())]
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            # Whichever ends first, by an error or by the controller hanging up, ends them all.
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, stream: Stream[Answer, Ask]) -> None:
        while (answer := await stream.read()) is not None:
            self._heard, self._pending[answer.type_url] = True, answer
            items = {str(number): item for number, item in enumerate(answer.resources)}
            held = self._hub.offered.types.get(answer.type_url)
            if held is None or held.version != answer.version:
                typed = TypedResources(answer.version, items)
                self._hub.offer(self._hub.offered.replacing(answer.type_url, typed))
            self._settle.set()

    async def _answer(self, stream: Stream[Answer, Ask]) -> None:
        while True:
            await self._settle.wait()
            self._settle.clear()
            for url, answer in tuple(self._pending.items()):
                if (verdict := self._verdict(url, answer)) is not None:
                    del self._pending[url]
                    await stream.write(verdict)

    def _verdict(self, url: str, answer: Answer) -> Ask | None:
        offered, conversations = self._hub.offered, self._hub.conversations
        error = next((text for c in conversations if (text := c.rejection(url, offered))), "")
        if error:
            return Ask(url, nonce=answer.nonce, error=error, node=self._node)
        if conversations and all(c.took(url, offered) for c in conversations):
            return Ask(url, version=answer.version, nonce=answer.nonce, node=self._node)
        return None

    async def _send_load(self, stream: Stream[bytes, bytes]) -> None:
        while True:
            await stream.write(await self._loads.get())
