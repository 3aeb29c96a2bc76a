"""The controller's workers in one value, so that bodies and loops are handed one thing."""

from __future__ import annotations

import attrs

from modelyard.api import EngineSettings, KeyPair
from modelyard.controller.allotting import Allotting
from modelyard.controller.artifacts.trusting import Trust
from modelyard.controller.fleet import Fleet
from modelyard.controller.loads import Loads
from modelyard.controller.memory import Memory
from modelyard.controller.operations import Operations
from modelyard.controller.ports import Parts, Xds
from modelyard.controller.removing import Removing
from modelyard.controller.routing import Routing
from modelyard.host import Host
from modelyard.processes import Home
from modelyard.store import KeyStore, RevisionRecord, Store


@attrs.frozen(eq=False)
class Crew:
    """Everybody who works here."""

    home: Home
    settings: EngineSettings
    host: Host
    parts: Parts
    store: Store
    memory: Memory
    keys: KeyStore
    fleet: Fleet
    xds: Xds
    loads: Loads
    routing: Routing
    removing: Removing
    allotting: Allotting
    operations: Operations

    async def ensure_keys(self, revision: RevisionRecord) -> None:
        """Issue keys for a service that needs some and has none."""
        if revision.spec.auth == "none" or self.keys.read(revision.service) is not None:
            return
        issued: KeyPair = await self.host.call("authenticators", revision.spec.auth, "issue")
        self.keys.write(revision.service, issued)


async def assemble(home: Home, settings: EngineSettings, host: Host, parts: Parts) -> Crew:
    """Open the store and put the crew together; nothing runs yet."""
    store = await Store.open(home.store_file)
    memory = Memory(store, await store.load())
    loads = Loads()
    fleet = Fleet(host, memory, parts.clock, Trust(settings.images))
    xds = parts.xds(loads.take)
    keys = KeyStore(home.keys)
    routing = Routing(host=host, memory=memory, fleet=fleet, keys=keys, xds=xds, settings=settings.router)
    removing = Removing(memory=memory, fleet=fleet, routing=routing, xds=xds, loads=loads, parts=parts)
    return Crew(
        home=home,
        settings=settings,
        host=host,
        parts=parts,
        store=store,
        memory=memory,
        keys=keys,
        fleet=fleet,
        xds=xds,
        loads=loads,
        routing=routing,
        removing=removing,
        allotting=Allotting(host, memory, parts.new_suffix),
        operations=Operations(memory, clock=parts.clock, wall_clock=parts.wall_clock),
    )
