"""Which kind of pool a contract asks for. Process workers are imported only where they are used."""

from __future__ import annotations

from collections.abc import Callable

from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.pool import Pool


def make_pool(contract: StartContract, changed: Callable[[Pool], None]) -> Pool:
    """Return the pool, not yet started; `changed` is called, on the event loop, when it can or cannot serve."""
    if contract.isolation == "process":
        from modelyard_runtime.scoring.processes import ProcessPool

        return ProcessPool(contract, changed)
    from modelyard_runtime.scoring.threads import ThreadPool

    return ThreadPool(contract, changed)
