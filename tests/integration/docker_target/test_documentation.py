"""Every command that the page on Docker shows is executed, and prints what it is said to print."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess

import pytest
from modelyard.api import ImageRef

from tests.conftest import ROOT
from tests.e2e.test_documentation import Command, shown

from .conftest import Place, cleared, workload_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs Docker's own command")
def test_the_page_on_docker_is_right(place: Place, echo: ImageRef):
    commands = [one for one in shown(ROOT / "docs/how-to/deploy-to-docker.md") if isinstance(one, Command)]
    assert commands

    async def case() -> None:
        async with cleared(place):
            await place.run(workload_of(echo))
            for command in commands:
                said = await asyncio.to_thread(_run, command.line, place.address)
                assert command.expected in said

    asyncio.run(case())


def _run(line: str, address: str) -> str:
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "DOCKER_HOST": address},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
