"""Hook implementations of the registry plugin; the work is in `layout`, `distribution` and `daemon`."""

from __future__ import annotations

import os

from modelyard.api import Maturity, Registry
from modelyard.hookspecs import hookimpl

from modelyard_registry.config import find_root, find_servers_file, find_spool
from modelyard_registry.daemon import DockerDaemonRegistry
from modelyard_registry.distribution import DistributionRegistry, read_servers
from modelyard_registry.layout import OciLayoutRegistry

api_level = 1
maturity = Maturity.BETA


@hookimpl
def offer_registries() -> list[Registry]:
    """Offer the OCI layout in the engine's home, this machine's Docker daemon, and every server that the user lists."""
    servers = read_servers(find_servers_file(os.environ))
    daemon = DockerDaemonRegistry(find_spool(os.environ), os.environ)
    return [OciLayoutRegistry(find_root(os.environ)), daemon, *map(DistributionRegistry, servers)]
