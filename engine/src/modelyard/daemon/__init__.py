"""The composition root: wires the rooms, serves them, ends them. Also `modelyard.Engine`, for embedding.

Never here: what any room is for. May import every room below; only `testing` may import it, the
command line starts it by name (`python -m modelyard.daemon`).
"""

from modelyard.daemon.engine import Engine
from modelyard.daemon.serving import Stopping, Wiring, serve

__all__ = ["Engine", "Stopping", "Wiring", "serve"]
