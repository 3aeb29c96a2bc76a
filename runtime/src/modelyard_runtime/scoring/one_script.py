"""The usual catalog: one script, whose `init()` loads all models there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modelyard_runtime.contract import StartContract
from modelyard_runtime.scoring.catalog import Catalog, Standing, versions_by_name
from modelyard_runtime.scoring.pool import Pool
from modelyard_runtime.scoring.refusals import Unready

MakePool = Callable[[StartContract, Callable[[Pool], None]], Pool]
LOADING = "init() has not finished yet"


class OneScript(Catalog):
    """One pool; each name means it."""

    def __init__(self, contract: StartContract, changed: Callable[[], None], make_pool: MakePool) -> None:
        own = {contract.service: (str(contract.revision),)}
        super().__init__(versions_by_name(contract.models, own), changed)
        self.pool = make_pool(contract, self._pool_changed)
        self._table = {
            key: self.pool
            for name, versions in self.names.items()
            for version in versions
            for key in self._keys(name, version)
        }

    @property
    def running(self) -> int:
        """How many requests workers have."""
        return self.pool.running

    @property
    def queued(self) -> int:
        """How many wait for a slot."""
        return self.pool.queued

    def start(self) -> None:
        """Load the script."""
        self.pool.start()

    async def find(self, name: str, version: str, deadline: float) -> Pool:
        """Return the pool; whoever comes before it is ready is told so and does not wait."""
        del deadline
        self.versions(name, version)
        if not self.pool.ready:
            raise Unready(self.failure.cause if self.failure is not None else LOADING)
        return self.pool

    def standings(self) -> Iterator[Standing]:
        """Say that all stand as the script does."""
        if self.ready:
            state, reason = "READY", ""
        elif self.failure is not None:
            state, reason = "UNAVAILABLE", self.failure.cause
        else:
            state, reason = "LOADING", LOADING
        for name, versions in self.names.items():
            yield from (Standing(name, version, state, reason) for version in versions)

    async def close(self) -> None:
        """End the workers."""
        self.table = {}
        await self.pool.close()

    def _pool_changed(self, pool: Pool) -> None:
        self.ready, self.failure = pool.ready, pool.failure
        self.table = self._table if pool.ready else {}
        self.description = pool.description
        self._changed()
