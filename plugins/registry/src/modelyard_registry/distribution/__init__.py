"""Registries of the OCI distribution API: one record a server that `registries.toml` names.

Here lives the client: which servers there are (`servers`), where it may go (`places`), how it logs in
(`logins`), how it sends (`transport`, `retrying`, `session`) and what it moves (`uploads`, `downloads`,
`documents`, `listing`), under one record (`registry`). No state on disk, and no host name that the user
did not write. Only `transport` may import httpx; nothing here knows `layout`.
"""

from modelyard_registry.distribution.registry import DistributionRegistry
from modelyard_registry.distribution.servers import Server, read_servers

__all__ = ["DistributionRegistry", "Server", "read_servers"]
