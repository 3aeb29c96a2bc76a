"""BuildKit through `docker buildx`, where that is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from modelyard.api import Platform
from modelyard.containers.building import BuildKitLog
from modelyard.processes import run

_PLUGIN = "docker-buildx"
_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_LONGEST_SECONDS = 6 * 3600.0


@attrs.frozen
class BuildKitOrder:
    """A build: folders of its own for the context and the Dockerfile, and the name that its image gets."""

    context: Path
    dockerfile: Path
    name: str
    platform: Platform | None = None


def find_docker(environ: Mapping[str, str]) -> str:
    """Give the path of a `docker` command that has the plugin; empty = there is none. Runs nothing."""
    command = shutil.which("docker", path=environ.get("PATH"))
    home = environ.get("DOCKER_CONFIG") or str(Path(environ.get("HOME") or Path.home()) / ".docker")
    folders = (Path(home) / "cli-plugins", *map(Path, _FOLDERS))
    return command if command and any(os.access(folder / _PLUGIN, os.X_OK) for folder in folders) else ""


def write_argv(docker: str, order: BuildKitOrder) -> list[str]:
    """Write the command: no secret, no agent and no entitlement is in it. Pure."""
    platform = ["--platform", str(order.platform)] if order.platform else []
    return [
        *(docker, "buildx", "build", "--builder", "default", "--progress", "plain", "--load"),
        *("--tag", order.name, "--file", str(order.dockerfile), *platform, "--", str(order.context)),
    ]


async def build_with_buildkit(
    docker: str, order: BuildKitOrder, environ: Mapping[str, str], on_line: Callable[[str], None]
) -> BuildKitLog:
    """Build, and give the log: it says whether that failed. Cancelled, the command ends and so does the build."""
    log = BuildKitLog()

    def hear(line: str) -> None:
        log.hear(line)
        on_line(line)

    # what a registry's attestation adds makes an index of an image, which no daemon of before 23 loads
    env = {**environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "NO_COLOR": "1"}
    done = await run(write_argv(docker, order), env=env, timeout_seconds=_LONGEST_SECONDS, on_line=hear)
    log.end(done.status)
    return log
