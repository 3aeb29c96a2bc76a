"""Does one thing to a place as an engine does, in a process of its own that kills itself at a step.

python -m tests.integration.docker_target.mortal_engine <home> <daemon> <images> <digest> <step>

Steps: `before-start` (made, not started), `while-loading` (half of a layer sent), `after-sigterm` (told to stop,
not removed), `after-rename` (marked as being removed, told nothing).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from modelyard.api import ImageRef
from modelyard.containers import Daemon
from modelyard.processes import find_home
from modelyard.targets import DockerTarget
from modelyard.targets.docker import removing, starting
from modelyard_registry.layout import OciLayoutRegistry

from tests.integration.docker_target.workloads import REPLICA, workload_of


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal(OciLayoutRegistry):
    """A registry whose reader dies with half of a large blob."""

    async def read_blob(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        sent = 0
        async for chunk in super().read_blob(repository, digest):
            sent += len(chunk)
            if sent > 20_000_000:
                die()
            yield chunk


async def main(arguments: list[str]) -> None:
    home, daemon, images, digest, step = arguments
    target = DockerTarget(find_home({"MODELYARD_HOME": home}), Daemon(daemon))
    image = ImageRef("oci-layout", "services/digits", digest)
    registry = Mortal(Path(images)) if step == "while-loading" else OciLayoutRegistry(Path(images))
    if step == "before-start":
        starting.start = die
    if step == "after-rename":
        removing.send_signal = die
    if step == "after-sigterm":
        removing.send_signal = _then_die(removing.send_signal)
    if step.startswith("after"):
        await target.delete(REPLICA)
        return
    await target.bring(image, registry, on_line=lambda _line: None)
    await target.apply(workload_of(image))


def _then_die(work: Callable[..., Any]) -> Callable[..., Any]:
    async def done(*arguments: Any) -> None:
        await work(*arguments)
        die()

    return done


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
