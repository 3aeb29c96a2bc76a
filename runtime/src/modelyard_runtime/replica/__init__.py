"""`modelyard-replica`: the parent of a replica's server.

What lives here: starting the server in a clean environment, readiness, liveness, memory limit, drain,
restarts with back-off, logs, and the file that tells the engine about all that. It reads its contract and
speaks HTTP to its child; never user code, never a request's data. Standard library only.
This room may import `contract` and `pairing`.
"""

from modelyard_runtime.replica.supervisor import main

__all__ = ["main"]
