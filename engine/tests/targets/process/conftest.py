"""A home on a short path, a workload, and a stand-in for the replica's parent that honours the contract."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelyard.api import CodeRef, DeviceGrant, ReplicaPlan, ServiceSpec, Workload
from modelyard.processes import Home, find_home
from modelyard.targets import ProcessTarget

PARENT = Path(__file__).parent / "stand_in_parent.py"
REPLICA = "digits-r1-abc123"


@pytest.fixture
def home() -> Iterator[Home]:
    root = Path(tempfile.mkdtemp(prefix="my-"))
    made = find_home({"MODELYARD_HOME": str(root)})
    made.create()
    yield made
    asyncio.run(_delete_all(made))
    shutil.rmtree(root)


async def _delete_all(home: Home) -> None:
    target = ProcessTarget(home)
    for replica in await target.observe():
        await target.delete(replica.id)


@pytest.fixture
def target(home: Home) -> ProcessTarget:
    return ProcessTarget(home)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """`bin/python` that answers `-I -m modelyard_runtime.replica CONTRACT` with the stand-in."""
    python = tmp_path / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    # $4 is the contract: the arguments before it are -I -m modelyard_runtime.replica
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {PARENT} "$4"\n')
    python.chmod(0o755)
    return python.parent.parent


@pytest.fixture
def digits(environment: Path, tmp_path: Path) -> Workload:
    code = tmp_path / "code"
    code.mkdir()
    spec = ServiceSpec(name="digits", code=CodeRef(source=str(code), entry="score.py", sample="sample.json"))
    return Workload(
        spec=spec,
        revision=1,
        environment=str(environment),
        code_dir=str(code),
        model_dir="",
        replicas=(ReplicaPlan(id=REPLICA, node=os.uname().nodename, grant=DeviceGrant(backend="cpu")),),
    )


@pytest.fixture
def workload(digits: Workload) -> Workload:
    return digits
