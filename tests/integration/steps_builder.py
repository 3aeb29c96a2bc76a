"""Builds docker steps over a layout folder, in a process of its own that kills itself at a step.

python -m tests.integration.steps_builder <folder> <digest of the base> base|step|export|push
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import attrs
from modelyard.api import BuildOrder, BuildSite, ImageRef
from modelyard.images import platform_of
from modelyard.images.dockerfiles import DockerImageBuilder
from modelyard_registry.layout import OciLayoutRegistry

from engine.tests.images.making import Watched


@attrs.define
class Mortal(Watched):
    """A registry whose process is killed when it is asked for what comes at that moment."""

    moment: str = ""

    def _reach(self, method: str, what: str) -> None:
        super()._reach(method, what)
        # the base's layer is read while it is loaded; base blobs are looked for when the export is complete
        wanted = {"base": ("read_blob", 3), "export": ("has_blob", 1), "push": ("push", 1)}.get(self.moment)
        if wanted and method == wanted[0] and self.count(method) == wanted[1]:
            os.kill(os.getpid(), signal.SIGKILL)


def tell(line: str) -> None:
    if sys.argv[3] == "step" and line.endswith("begun"):
        os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, base: str) -> None:
    registry = Mortal(OciLayoutRegistry(folder / "registry"), moment=sys.argv[3])
    order = BuildOrder(
        platform_of(os.uname().machine),
        ImageRef("oci-layout", "bases/busybox", base),
        "images/steps",
        "k" * 64,
        docker_steps=("RUN echo begun; sleep 1; echo x > /x",),
    )
    site = folder / "site"
    site.mkdir()
    builder = DockerImageBuilder(folder / "notes", os.environ, folder / "looks")
    await builder.build(order, BuildSite(registry, registry, site, tell))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
