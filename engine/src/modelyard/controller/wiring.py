"""The real parts behind the controller's ports."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable

from modelyard.api import EngineSettings
from modelyard.controller.artifacts import EngineImages, LocalArtifacts
from modelyard.controller.ports import Parts
from modelyard.host import Host
from modelyard.processes import Home
from modelyard.router import LoadReport, RouterProcess, XdsServer

_LETTERS = string.ascii_lowercase + string.digits
_SUFFIX_LENGTH = 6


class LocalRouter:
    """The router on this machine."""

    def __init__(self, process: RouterProcess) -> None:
        self._process = process

    async def ensure(self) -> None:
        """Adopt it or start it."""
        await self._process.ensure()

    async def stop(self) -> None:
        """Let it finish what it has, then stop it."""
        await self._process.stop()

    @property
    def pid(self) -> int | None:
        """Its process, None when it does not run."""
        return self._process.status.pid


def real_parts(home: Home, settings: EngineSettings, host: Host) -> Parts:
    """Give the parts that a real engine works with."""

    def make_xds(on_load: Callable[[LoadReport], None]) -> XdsServer:
        return XdsServer(home.xds_socket, on_load=on_load)

    artifacts = LocalArtifacts(home, host, settings)
    return Parts(
        artifacts=artifacts,
        images=artifacts.images,
        engine_images=EngineImages(home, host, settings, artifacts.leasing),
        xds=make_xds,
        router=LocalRouter(RouterProcess(home, settings.router)),
        clock=time.monotonic,
        wall_clock=time.time,
        new_suffix=lambda: "".join(secrets.choice(_LETTERS) for _ in range(_SUFFIX_LENGTH)),
    )
