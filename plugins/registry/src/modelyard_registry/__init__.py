"""Registries of OCI artifacts: a folder on disk, any server of the distribution API, the local Docker daemon.

Here live `layout` (the folder), `distribution` (the network), `daemon` (Docker; its spool is a layout), and what
all speak: `names`, `manifests`, `errors`. `config` says where the folder is and which servers there are.
Imports modelyard's public names only (`modelyard.api`, `modelyard.hookspecs`).
"""

from modelyard_registry.config import find_root, find_servers_file, find_spool
from modelyard_registry.daemon import DockerDaemonRegistry
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.layout import OciLayoutRegistry

__all__ = [
    "DistributionRegistry",
    "DockerDaemonRegistry",
    "OciLayoutRegistry",
    "find_root",
    "find_servers_file",
    "find_spool",
]
