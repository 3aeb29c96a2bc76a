"""One round: the same work by both sides, one after the other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from images.report import Round
from images.site import BASE, ROOT, Site

_DOCKERFILE = """\
FROM {base}
COPY lock.txt {runtime} /tmp/
ENV PIP_NO_CACHE_DIR=1 PIP_NO_DEPS=1
RUN python3 -m pip install --index-url {index} --require-hashes -r /tmp/lock.txt \\
 && python3 -m pip install --no-index /tmp/{runtime}
COPY model /opt/app/model
COPY score.py engine.yaml requirements.txt /opt/app/code/
"""


def run_round(place: Site, number: int) -> Round:
    """Cold, then a change of code, then nothing changed; ours also on a second machine, so to speak."""
    ours = _Ours(place, f"ours-{number}")
    cold, changed, hit = ours.build(3)
    second = _Ours(place, f"second-{number}")
    again = second.build(2)[-1]
    docker = _Docker(place, number)
    docker_cold = docker.build_and_push("cold", cached=False)
    docker.change_code()
    docker_changed = docker.build_and_push("changed", cached=True)
    docker.close()
    return Round(
        ours_cold=cold["seconds"],
        ours_changed=changed["seconds"],
        ours_hit=hit["seconds"],
        ours_keep=changed["keep_seconds"],
        docker_cold=docker_cold,
        docker_changed=docker_changed,
        same_digest=again["digest"] == changed["digest"],
        own_mib=cold["own_mib"],
        largest_child_mib=cold["largest_child_mib"],
    )


class _Ours:
    def __init__(self, place: Site, name: str) -> None:
        self._place = place
        self._home = place.folder / name
        self._project = place.project(f"{name}-project")
        self._home.mkdir()
        # a prefix of its own: what other rounds pushed is not found
        lines = f'[registry.company]\nhost = "{place.registry}"\nprefix = "{name}"\n'
        bases = f'[registry.bases]\nhost = "{place.registry}"\n'
        (self._home / "registries.toml").write_text(lines + bases)

    def build(self, revisions: int) -> list[dict[str, Any]]:
        environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("UV_")},
            "UV_DEFAULT_INDEX": self._place.index,
            "UV_CACHE_DIR": str(self._home / "uv"),
            "PYTHONPATH": str(ROOT),
        }
        script = Path(__file__).with_name("ours.py")
        argv = [str(script), str(self._home), str(self._project), f"bases/{BASE}:1", str(revisions)]
        done = subprocess.run(
            [sys.executable, *argv], env=environ, check=True, stdout=subprocess.PIPE, text=True
        )
        return list(json.loads(done.stdout.splitlines()[-1]))


class _Docker:
    def __init__(self, place: Site, number: int) -> None:
        self._place = place
        self._name = f"{place.registry}/docker-{number}/digits"
        self._project = place.project(f"docker-{number}")
        shutil.copy(place.lock, self._project / "lock.txt")
        shutil.copy(place.runtime, self._project)
        self._run("pull", f"{place.registry}/{BASE}:1")
        pip = self._project / "pip"
        shutil.copytree(place.folder / "pip", pip)
        (wheel,) = pip.glob("pip-*.whl")
        (pip / "Dockerfile").write_text(
            f"FROM {place.registry}/{BASE}:1\nCOPY {wheel.name} /tmp/\n"
            f"RUN python3 /tmp/{wheel.name}/pip install --no-index --no-compile /tmp/{wheel.name}\n"
        )
        self._run("build", "--quiet", "--tag", "with-pip", str(pip))
        shutil.rmtree(pip)
        self._run("tag", "with-pip", f"{place.registry}/base/with-pip-{number}")
        self._run(
            "push", "--quiet", f"{place.registry}/base/with-pip-{number}"
        )  # the base is there on both sides
        (self._project / "Dockerfile").write_text(
            _DOCKERFILE.format(base="with-pip", runtime=place.runtime.name, index=place.index)
        )

    def change_code(self) -> None:
        with (self._project / "score.py").open("a") as script:
            script.write("# changed\n")

    def build_and_push(self, tag: str, *, cached: bool) -> float:
        started = time.perf_counter()
        options = [] if cached else ["--no-cache"]
        name = f"{self._name}:{tag}"
        self._run("build", "--quiet", "--network", "host", *options, "--tag", name, str(self._project))
        self._run("push", "--quiet", name)
        return time.perf_counter() - started

    def close(self) -> None:
        self._run("image", "prune", "--all", "--force")

    def _run(self, *arguments: str) -> None:
        environ = {**os.environ, "DOCKER_HOST": self._place.daemon, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(
            ["docker", *arguments], env=environ, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"docker {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
