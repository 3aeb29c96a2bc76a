"""Pools of real worker processes, each on an event loop of the kind that Envoy runs."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from modelyard_runtime.contract import Batching, StartContract

from runtime.tests.isolation.pools import Bench, Run, Scenario


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def contract_for(folder: Path) -> Callable[..., StartContract]:
    def make(script: str, **fields: Any) -> StartContract:
        code = folder / "code"
        code.mkdir(exist_ok=True)
        (code / "score.py").write_text(script)
        if "batch" in fields:
            size, wait_s = fields.pop("batch")
            fields["batching"] = Batching(max_size=size, max_wait_s=wait_s)
        return StartContract(
            service="digits",
            revision=1,
            replica="digits-r1-abcdef",
            run_dir=str(folder),
            log_dir=str(folder),
            code_dir=str(code),
            entry="score.py",
            isolation="process",
            **{"max_queued": 1000, "queue_wait_s": 20.0, "backoff_initial_s": 0.05, **fields},
        )

    return make


@pytest.fixture
def pool(contract_for: Callable[..., StartContract]) -> Run:
    """Run a scenario against a pool: `pool(script, scenario, **contract fields)`."""

    def run(script: str, scenario: Scenario, *, wait: bool = True, **fields: Any) -> Any:
        async def live() -> Any:
            bench = Bench(contract_for(script, **fields))
            bench.pool.start()
            try:
                if wait:
                    await bench.ready()
                return await scenario(bench)
            finally:
                await bench.pool.close()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(live())

    return run
