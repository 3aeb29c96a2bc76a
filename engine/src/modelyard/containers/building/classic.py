"""Build with the daemon's own builder, through its API: for where BuildKit's command is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import attrs

from modelyard.api import Platform
from modelyard.containers.building.daemon import BuildDaemon
from modelyard.containers.building.logs import ClassicLog
from modelyard.containers.building.stopping import Stop


@attrs.frozen
class Build:
    """A build: a tar with the context and the Dockerfile in it, and the name that its image gets.

    `platform` None = that of the image below.
    """

    context: Path
    dockerfile: str
    name: str
    platform: Platform | None = None


def build_classic(
    daemon: BuildDaemon,
    build: Build,
    *,
    stop: Stop,
    on_line: Callable[[str], None],
    on_container: Callable[[str], None],
) -> ClassicLog:
    """Build, and give the log: it says whether that failed. Stopped, the daemon ends the step that runs.

    No secret, no agent, no host's network: the steps have what the daemon gives to any build. `on_container`
    hears of each container that a step runs in, so that it can be removed should the daemon die.
    Raises `Unavailable` when the daemon does not answer or dies.
    """
    log = ClassicLog()
    with daemon.asked(stop) as client, build.context.open("rb") as context:
        messages = client.build(
            fileobj=context,
            custom_context=True,
            dockerfile=build.dockerfile,
            tag=build.name,
            platform=str(build.platform) if build.platform else None,
            rm=True,
            forcerm=True,
            pull=False,
            decode=True,
        )
        with contextlib.closing(messages):
            for message in messages:
                stop.check()
                known = log.container
                for line in log.hear(message):
                    on_line(line)
                if log.container != known:
                    on_container(log.container)
    stop.check()
    return log
