"""What the router is told: composed from records and observations, published when it changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import attrs

from modelyard.api import AuthPolicy, ModelyardError, RouterSettings, Unavailable, UserError
from modelyard.control import traffic
from modelyard.controller.fleet import Fleet
from modelyard.controller.memory import Memory
from modelyard.controller.ports import Xds
from modelyard.host import Host
from modelyard.router import Endpoint, RoutedService, RouterState
from modelyard.store import GrantRecord, KeyStore, RevisionRecord, ServiceRecord

log = logging.getLogger(__name__)

CLOSED = AuthPolicy(mode="key")
"""No digest fits: every request is refused. What a service gets whose policy cannot be made."""
_OPEN = AuthPolicy(mode="none")


class Routing:
    """Keeps the routers up to date."""

    def __init__(
        self, *, host: Host, memory: Memory, fleet: Fleet, keys: KeyStore, xds: Xds, settings: RouterSettings
    ) -> None:
        self._host = host
        self._memory = memory
        self._fleet = fleet
        self._keys = keys
        self._xds = xds
        self._settings = settings
        self._policies: dict[str, AuthPolicy] = {}
        self.trouble: dict[str, str] = {}

    async def refresh_policy(self, service: str) -> None:
        """Compile a service's keys anew. A policy that cannot be made lets nobody in."""
        revision = self._memory.serving(service) or self._rolling(service)
        if revision is None:
            return
        auth = revision.spec.auth
        try:
            policy = _OPEN if auth == "none" else await self._compile(auth, service)
            self.trouble.pop(service, None)
        except ModelyardError as error:
            log.error("no auth policy for %s: %s", service, error)  # noqa: TRY400  the reason is the news
            policy = CLOSED
            self.trouble[service] = f"every request is refused: {error.message}"
        self._policies[service] = policy

    async def refresh_all(self) -> None:
        """Compile the keys of every service."""
        for service in self._memory.services:
            await self.refresh_policy(service)

    def state(self) -> RouterState:
        """Compose everything the router is to know."""
        services = (self._routed(one) for _, one in sorted(self._memory.services.items()))
        return RouterState(
            listen_address=self._settings.address,
            listen_port=self._settings.port,
            services=tuple(one for one in services if one is not None),
        )

    def publish(self) -> str:
        """Offer the present state; the same state again changes nothing."""
        return self._xds.publish(self.state())

    async def settle(self, *, timeout_seconds: float) -> None:
        """Publish and wait until every router took it. Raises `Unavailable`."""
        await self.remember_addresses()
        await self._xds.acknowledged(self.publish(), timeout_seconds=timeout_seconds)

    async def remember_addresses(self) -> None:
        """Keep where ready replicas are, for the day on which their target is out of sight."""
        changed = [
            attrs.evolve(grant, address=address)
            for grant in self._memory.grants.values()
            if (address := self._fleet.ready(grant)) and address != grant.address and self._has_traffic(grant)
        ]
        if changed:
            await self._memory.save(*changed)

    @property
    def refusal(self) -> str:
        """The router's words while it refuses what it was last offered."""
        return self._xds.status.nack

    async def _compile(self, auth: str, service: str) -> AuthPolicy:
        keys = self._keys.read(service)
        if keys is None:
            raise Unavailable(f"service {service!r} has no keys")
        policy: AuthPolicy = await self._host.call("authenticators", auth, "compile", keys)
        return policy

    def _rolling(self, service: str) -> RevisionRecord | None:
        """Give the revision that a running operation brings in, if any."""
        record = self._memory.running(service)
        if record is None or not record.operation.revision:
            return None
        return self._memory.revisions.get((service, record.operation.revision))

    def _has_traffic(self, grant: GrantRecord) -> bool:
        service = self._memory.services.get(grant.service)
        return service is not None and grant.replica in self._traffic(service)

    def _traffic(self, service: ServiceRecord) -> frozenset[str]:
        old = self._ready(self._memory.wanted_grants(service.name, service.revision))
        operation = self._memory.running(service.name)
        rolling = self._rolling(service.name)
        if operation is None or rolling is None or rolling.number == service.revision:
            return old
        new = self._ready(self._memory.wanted_grants(service.name, rolling.number))
        return traffic(old_ready=old, new_ready=new, step=operation.step or "snapshot")

    def _ready(self, grants: Iterable[GrantRecord]) -> frozenset[str]:
        return frozenset(one.replica for one in grants if self._fleet.ready(one))

    def _routed(self, service: ServiceRecord) -> RoutedService | None:
        endpoints = self._endpoints(service)
        revision = self._memory.serving(service.name) or (self._rolling(service.name) if endpoints else None)
        if revision is None or (service.deleting and not endpoints):
            return None
        request = revision.spec.request
        return RoutedService(
            name=service.name,
            auth=self._policies.get(service.name, CLOSED),
            timeout_seconds=request.timeout_seconds,
            max_body_bytes=request.max_body_bytes,
            max_concurrent=revision.spec.slots,
            max_pending=request.max_queued,
            endpoints=endpoints,
            cors=revision.spec.cors,
        )

    def _endpoints(self, service: ServiceRecord) -> tuple[Endpoint, ...]:
        chosen = self._traffic(service)
        found = []
        for grant in self._memory.grants_of(service.name):
            address = self._fleet.ready(grant) if grant.replica in chosen else self._leaving(grant)
            if address:
                found.append((grant, address))
        return tuple(filter(None, (self._endpoint(grant, address) for grant, address in found)))

    def _leaving(self, grant: GrantRecord) -> str:
        """Give the address of a replica that still may have requests but gets no new ones."""
        return grant.address if grant.draining and grant.replica in self._fleet.replicas else ""

    def _endpoint(self, grant: GrantRecord, address: str) -> Endpoint | None:
        try:
            return Endpoint(replica=grant.replica, address=address, draining=grant.draining)
        except UserError as error:
            # one target's nonsense must not keep other services from being routed
            self.trouble[grant.service] = error.message
            return None
