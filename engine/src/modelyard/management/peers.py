"""Who is at the other end of a unix socket; only the engine's own user and root may talk to it."""

from __future__ import annotations

import os
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

from modelyard.telemetry import get_logger

_UCRED = struct.Struct("3i")
"""Linux `struct ucred`: pid, uid, gid."""

_log = get_logger("modelyard.management")


def peer_uid(connection: socket.socket) -> int | None:
    """Give the uid of the peer; None where this system does not tell (the 0700 folder guards there)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or connection.family != socket.AF_UNIX:
        return None
    _pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
    return int(uid)


def may_talk(uid: int | None, *, own_uid: int) -> bool:
    """Say whether a peer is the engine's own user or root."""
    return uid is None or uid in {own_uid, 0}


class PeerCheckedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, for peers that may talk; the others are hung up on."""

    def connection_made(self, transport: object) -> None:
        """Look at the peer before its first byte."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows asyncio's type too
        connection = self.transport.get_extra_info("socket")
        uid = peer_uid(connection)
        if not may_talk(uid, own_uid=os.getuid()):
            _log.warning("connection of another user refused", uid=uid)
            self.transport.abort()
