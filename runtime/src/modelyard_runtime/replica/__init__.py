"""`modelyard-replica`: the parent of a replica's server.

What lives here: starting the server in a clean environment, readiness, liveness, memory limit, drain,
restarts with back-off, logs, the file and the port that tell the engine about all that, and the commands that
start one in a container or by hand. It speaks HTTP to its child; never user code, never a request's data.
Standard library only.
This room may import `contract`, `pairing`, `local_http` and, of the server, `launch`.
"""

from modelyard_runtime.replica.command import main

__all__ = ["main"]
