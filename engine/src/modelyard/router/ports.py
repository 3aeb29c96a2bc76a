"""Whether the router's port is free, and if not, who has it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from modelyard.api import RouterSettings, UserError

_LISTENING = "0A"
_TRIES, _PAUSE_SECONDS = 15, 0.1


def check_port_free(settings: RouterSettings) -> None:
    """Raise `UserError` when the router could not listen; names the holder where /proc tells."""
    family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Envoy does: connections that linger after a close are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.address, settings.port))
        except OSError as error:
            raise _refusal(settings, error) from error


async def await_port(settings: RouterSettings) -> None:
    """Wait for the port for a moment: a router that was just killed still holds it while the system clears it away.

    Raises `UserError` when somebody goes on to hold it.
    """
    for _ in range(_TRIES):
        try:
            return check_port_free(settings)
        except UserError:
            await asyncio.sleep(_PAUSE_SECONDS)
    return check_port_free(settings)


def _refusal(settings: RouterSettings, error: OSError) -> UserError:
    place = f"{settings.address}:{settings.port}"
    if error.errno != errno.EADDRINUSE:
        return UserError(
            f"the router cannot listen on port {settings.port}: {error.strerror}",
            place=place,
            remedy="set router.address and router.port in settings.yaml to what this machine allows",
        )
    return UserError(
        f"port {settings.port} is in use{holder(settings.port)}",
        place=place,
        remedy="stop that program, or set router.port in settings.yaml to a free port",
    )


def holder(port: int) -> str:
    """Say ` by NAME (pid N)` of whoever listens on the port; empty when the system does not tell."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        if wanted & set(_open_files(process)):
            return f" by {_name(process)} (pid {process.name})"
    return ""


def _listening_inodes(port: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
            if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                yield inode


def _open_files(process: Path) -> Iterator[str]:
    try:
        for handle in (process / "fd").iterdir():
            yield os.readlink(handle)  # noqa: PTH115 what it names is no path
    except OSError:
        return  # it ended, or it is somebody else's


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"
