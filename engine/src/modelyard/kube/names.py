"""Labels, annotations and names by which our objects are known. Pure."""

from __future__ import annotations

MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/name"
"""`controller`, `router` or `replica`."""
OURS = "modelyard"
"""The value of `MANAGED_BY`."""

INSTALLATION = "modelyard.dev/installation"
"""Who owns an object; another installation's is left alone."""
SERVICE = "modelyard.dev/service"
REVISION = "modelyard.dev/revision"
REPLICAS = "modelyard.dev/replicas"
"""Annotation of a Deployment: the ids of its planned replicas, with commas between."""
REPLICA = "modelyard.dev/replica"
"""Annotation of a pod: its replica's id."""
SERVING = "modelyard.dev/serving"
"""Readiness gate: false from the moment a pod is to go."""
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
DRAIN = "modelyard.dev/drain"
"""Finalizer of a ModelService: its replicas finish what they have first."""

CONTROLLER_MANAGER = "modelyard-controller"
CLIENT_MANAGER = "modelyard-cli"
"""Field managers of server-side apply."""
