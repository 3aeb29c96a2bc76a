"""Build and push one project's image in a process of its own, and tell what it took.

python ours.py HOME PROJECT REVISION BASE  ->  one line of JSON

What is timed is what a deploy does once the engine runs, not the interpreter's start: `keep_seconds` for the
snapshot of code and model and their copy in the registry, which Docker has no counterpart of, and `seconds` for
the image.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import attrs
from modelyard.api import EngineSettings, ImageSettings, PluginSettings
from modelyard.controller.artifacts import LocalArtifacts
from modelyard.host import load
from modelyard.processes import find_home
from modelyard.spec import read_service
from modelyard.store import RevisionRecord
from modelyard.testing import FakeTarget


class ImageTaker(FakeTarget):
    async def bring(self, *_: Any, **__: Any) -> None:
        pass


async def main(home: Path, project: Path, revision: int, base: str) -> None:
    os.environ["MODELYARD_HOME"] = str(home)
    found = find_home(os.environ)
    found.create()
    host = load(PluginSettings(hook_timeout_seconds=60))
    settings = EngineSettings(registry="company", images=ImageSettings(base=base))
    local = LocalArtifacts(found, host, settings)
    spec = read_service(project)
    before = time.perf_counter()
    kept = await local.keep(spec, revision)
    keep_seconds = time.perf_counter() - before
    record = RevisionRecord(
        service=spec.name,
        number=revision,
        created_at=0.0,
        spec=spec,
        **attrs.asdict(kept, recurse=False),
    )
    lines: list[tuple[float, str]] = []
    started = time.perf_counter()
    built = await local.build(
        record,
        ImageTaker(artifact="image"),
        lambda line: lines.append((time.perf_counter() - started, line)),
    )
    seconds = time.perf_counter() - started
    for at, line in lines:
        print(f"{at:7.2f} {line}", file=sys.stderr)
    own, children = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    assert built.image
    print(
        json.dumps(
            {
                "seconds": seconds,
                "keep_seconds": keep_seconds,
                "digest": built.image.digest,
                "own_mib": own / 1024,
                "largest_child_mib": children / 1024,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
