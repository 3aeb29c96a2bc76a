"""Make one service's image as a deploy does, in a process of its own that may be killed at any step.

python -m tests.fault.image_maker HOME PROJECT REVISION RUNTIME REGISTRY [DIES_AT]  ->  one line of JSON

A step is a call of the folder's registry, or a line of progress. `RUNTIME` is the wheel that stands for the
runtime's, so that no package index is asked.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
from modelyard.api import EngineSettings, ImageSettings, PluginSettings
from modelyard.controller.artifacts import LocalArtifacts, images
from modelyard.controller.ports import Built
from modelyard.environments.wheels import read_runtime
from modelyard.host import load
from modelyard.processes import find_home
from modelyard.spec import read_service
from modelyard.store import RevisionRecord
from modelyard.testing import FakeTarget
from modelyard_registry.layout import OciLayoutRegistry

from engine.tests.images.making import BASES

_CALLS = ("resolve", "resolve_platform", "has_blob", "push_blob", "push", "pull", "mount")


class ImageTaker(FakeTarget):
    """A target whose replicas start from images; nothing is started here."""

    async def bring(self, *_: Any, **__: Any) -> None:
        return


@attrs.define
class Steps:
    """Counts what is done, and kills the process just before step number `dies_at`."""

    dies_at: int = -1
    count: int = 0
    lines: list[str] = attrs.field(factory=list)

    def reach(self) -> None:
        if self.count == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def tell(self, line: str) -> None:
        self.reach()
        self.lines.append(line)

    def watch(self, kind: type) -> None:
        for name in _CALLS:
            setattr(kind, name, self._watched(getattr(kind, name)))

    def _watched(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(call)
        async def watched(*given: Any, **more: Any) -> Any:
            self.reach()
            return await call(*given, **more)

        return watched


async def make(
    home: Path, project: Path, revision: int, runtime: Path, registry: str, tell: Callable[[str], None]
) -> Built:
    """Keep a project's code and models, and build its image; `MODELYARD_HOME` must be `home`."""
    images.bundled_runtime = lambda: read_runtime(runtime)  # type: ignore[assignment]
    found = find_home({"MODELYARD_HOME": str(home)})
    found.create()
    host = load(PluginSettings(hook_timeout_seconds=60))
    settings = EngineSettings(registry=registry, images=ImageSettings(base=f"{registry}/{BASES}:3"))
    local = LocalArtifacts(found, host, settings)
    spec = read_service(project)
    kept = await local.keep(spec, revision)
    record = RevisionRecord(
        service=spec.name, number=revision, created_at=0.0, spec=spec, **attrs.asdict(kept, recurse=False)
    )
    built = await local.build(record, ImageTaker(artifact="image"), tell)
    await asyncio.sleep(0)  # the last lines are told
    return built


def main(home: str, project: str, revision: str, runtime: str, registry: str, dies_at: str = "-1") -> None:
    os.environ["MODELYARD_HOME"] = home
    steps = Steps(int(dies_at))
    steps.watch(OciLayoutRegistry)
    made = make(Path(home), Path(project), int(revision), Path(runtime), registry, steps.tell)
    built = asyncio.run(made)
    assert built.image
    builds = sum("builds it" in line for line in steps.lines)
    sys.stdout.write(json.dumps({"digest": built.image.digest, "steps": steps.count, "builds": builds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
