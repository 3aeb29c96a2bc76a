"""TCP ports, asked before Envoy is: its own complaint names neither the port's holder nor a remedy."""

from __future__ import annotations

import os
import socket


def why_unusable(host: str, port: int) -> str:
    """Return why nothing can listen here, as the system says it; empty when something can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror:
        return "the host must be an address, as 127.0.0.1 or ::1"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    return ""


def free_port(host: str) -> int:
    """Return a port that is free now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
