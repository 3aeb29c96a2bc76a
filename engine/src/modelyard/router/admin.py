"""Envoy's admin interface, spoken over its unix socket: no port, so nobody else on the machine reaches it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from pathlib import Path
from typing import Any

import attrs

_TIMEOUT_SECONDS = 5.0
_OK = 200


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))


@attrs.frozen
class Admin:
    """Questions and orders to one Envoy. Every method raises OSError when nobody answers."""

    path: Path

    async def ready(self) -> bool:
        """Whether Envoy serves; False as well when nobody answers."""
        try:
            status, _ = await self._call("GET", "/ready")
        except OSError:
            return False
        return status == _OK

    async def gauge(self, name: str) -> int:
        """Read one gauge; 0 when Envoy has none of that name."""
        _, body = await self._call("GET", f"/stats?format=json&filter=^{name}$")
        return sum(int(stat["value"]) for stat in json.loads(body)["stats"] if stat.get("name") == name)

    async def config_dump(self) -> dict[str, Any]:
        """Return what Envoy runs on, endpoints included."""
        _, body = await self._call("GET", "/config_dump?include_eds")
        dump: dict[str, Any] = json.loads(body)
        return dump

    async def fail_health_check(self) -> None:
        """Make every answer from now on the last of its connection."""
        await self._call("POST", "/healthcheck/fail")

    async def start_draining(self) -> None:
        """Tell the clients of open connections to go elsewhere; new ones are still accepted."""
        await self._call("POST", "/drain_listeners?graceful&skip_exit")

    async def stop_listening(self) -> None:
        """Accept no new connection; those that are open go on."""
        await self._call("POST", "/drain_listeners")

    async def _call(self, method: str, target: str) -> tuple[int, bytes]:
        return await asyncio.to_thread(self._ask, method, target)

    def _ask(self, method: str, target: str) -> tuple[int, bytes]:
        connection = _UnixConnection(self.path)
        try:
            connection.request(method, target)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            msg = f"{self.path}: {error!r}"
            raise OSError(msg) from error
        finally:
            connection.close()
