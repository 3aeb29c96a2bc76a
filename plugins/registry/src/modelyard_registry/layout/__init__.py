"""The registry record `oci-layout`: an OCI image layout folder on disk, readable by skopeo and oras.

Here live that folder, its index and its collection; no network, no state outside the folder.
Imports the package's own values (`errors`, `manifests`, `names`) and modelyard's public names only.
"""

from modelyard_registry.layout.registry import OciLayoutRegistry

__all__ = ["OciLayoutRegistry"]
