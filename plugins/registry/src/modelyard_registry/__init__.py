"""The embedded registry: OCI artifacts in an image layout folder on disk, readable by skopeo and oras.

Here live that store and nothing else; no network, no state outside its folder.
Imports modelyard's public names only (`modelyard.api`, `modelyard.hookspecs`).
"""

from modelyard_registry.config import find_root
from modelyard_registry.registry import OciLayoutRegistry

__all__ = ["OciLayoutRegistry", "find_root"]
