"""The engine's REST interface: routes, status codes, streams and the socket they are served on.

Never here: a decision. Bodies go to `spec` as they came, answers out through `client.wire`.
May import api, spec, client's wire forms and telemetry; the one room that imports litestar and uvicorn.
"""

from modelyard.management.app import build_app
from modelyard.management.engine import ManagedEngine
from modelyard.management.server import ManagementServer

__all__ = ["ManagedEngine", "ManagementServer", "build_app"]
