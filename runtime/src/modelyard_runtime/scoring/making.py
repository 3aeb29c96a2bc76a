"""Which kind of pool, and which kind of catalog, a contract asks for. What is not asked for is not imported."""

from __future__ import annotations

from collections.abc import Callable

from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.catalog import Catalog
from modelyard_runtime.scoring.pool import Pool


def make_catalog(contract: StartContract, changed: Callable[[], None]) -> Catalog:
    """Return the models, not yet loaded; `changed` is called, on the event loop, when they can or cannot serve."""
    if contract.multi_model:
        from modelyard_runtime.scoring.on_demand import OnDemand

        return OnDemand(contract, changed)
    from modelyard_runtime.scoring.one_script import OneScript

    return OneScript(contract, changed, make_pool)


def make_pool(contract: StartContract, changed: Callable[[Pool], None]) -> Pool:
    """Return the pool, not yet started; `changed` is called, on the event loop, when it can or cannot serve."""
    if contract.isolation == "process":
        from modelyard_runtime.scoring.processes import ProcessPool

        return ProcessPool(contract, changed)
    from modelyard_runtime.scoring.threads import ThreadPool

    return ThreadPool(contract, changed)
