"""Build and push one project's image, change its code, build again, as an engine that keeps running does.

python ours.py HOME PROJECT BASE REVISIONS  ->  one line of JSON with a list, one entry a revision

Before every revision but the first and the last the code changes. What is timed is what a deploy does once the
engine runs: `keep_seconds` for the snapshot of code and model and their copy in the registry, which Docker has
no counterpart of, and `seconds` for the image, pushed.
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


async def main(home: Path, project: Path, base: str, revisions: int) -> None:
    os.environ["MODELYARD_HOME"] = str(home)
    found = find_home(os.environ)
    found.create()
    host = load(PluginSettings(hook_timeout_seconds=60))
    settings = EngineSettings(registry="company", images=ImageSettings(base=base))
    local = LocalArtifacts(found, host, settings)
    made = []
    for number in range(1, revisions + 1):
        if 1 < number < max(revisions, 3):
            with (project / "score.py").open("a") as script:
                script.write(f"# change {number}\n")
        made.append(await build(local, project, number))
    print(json.dumps(made))


async def build(local: LocalArtifacts, project: Path, number: int) -> dict[str, object]:
    spec, target = read_service(project), ImageTaker(artifact="image")
    before = time.perf_counter()
    kept = await local.keep(spec, number)
    started = time.perf_counter()
    record = RevisionRecord(
        service=spec.name, number=number, created_at=0.0, spec=spec, **attrs.asdict(kept, recurse=False)
    )
    lines: list[tuple[float, str]] = []
    built = await local.build(
        record, target, lambda line: lines.append((time.perf_counter() - started, line))
    )
    seconds = time.perf_counter() - started
    for at, line in lines:
        print(f"{number}: {at:7.2f} {line}", file=sys.stderr)
    assert built.image
    return {
        "seconds": seconds,
        "keep_seconds": started - before,
        "digest": built.image.digest,
        "own_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "largest_child_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
