"""What Envoy is told before it takes the process over: pyvoy's configuration, turned into a replica's.

What lives here: the bootstrap, and the routes by which Envoy answers some requests itself. Pure: a contract
in, JSON out; never a socket, and nothing that is slow to import, since every start waits for it.
This room may import `contract`, `pairing` and, beside it, the pure `cors` and `v1_words`; of pyvoy nothing: it
is slow to import.
"""

from modelyard_runtime.server.envoy.bootstrap import configuration
from modelyard_runtime.server.envoy.embedding import binary

__all__ = ["binary", "configuration"]
