"""Registries of OCI artifacts: an image layout folder on disk, and any server of the distribution API.

Here live `layout` (the folder) and `distribution` (the network), which do not know each other, and what
both speak: `names`, `manifests`, `errors`. `config` says where the folder is and which servers there are.
Imports modelyard's public names only (`modelyard.api`, `modelyard.hookspecs`).
"""

from modelyard_registry.config import find_root, find_servers_file
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.layout import OciLayoutRegistry

__all__ = ["DistributionRegistry", "OciLayoutRegistry", "find_root", "find_servers_file"]
