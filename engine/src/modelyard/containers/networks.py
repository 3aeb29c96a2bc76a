"""Networks of a daemon: one bridge, made once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelyard.containers.connecting import CHANGE_SECONDS, Daemon
from modelyard.containers.values import Absent

if TYPE_CHECKING:
    from docker import APIClient

_OPTIONS = {"com.docker.network.bridge.enable_icc": "false"}
"""Containers on it do not reach each other."""


async def ensure_network(daemon: Daemon, name: str, labels: Mapping[str, str]) -> None:
    """Make a bridge network of that name, whose containers do not reach each other; one that is there stays.

    Docker lets several have one name: callers take turns.
    """

    def work(client: APIClient) -> None:
        if not _find(client, name):
            client.create_network(name, driver="bridge", options=_OPTIONS, labels=dict(labels))

    await daemon.call("make a network", work, seconds=CHANGE_SECONDS)


async def remove_network(daemon: Daemon, name: str) -> None:
    """Remove it; absent is fine. Raises `SystemError_` while a container is on it."""

    def work(client: APIClient) -> None:
        for found in _find(client, name):
            client.remove_network(found["Id"])

    with contextlib.suppress(Absent):
        await daemon.call("remove a network", work, seconds=CHANGE_SECONDS)


def _find(client: APIClient, name: str) -> list[dict[str, Any]]:
    """Find by exact name: the daemon's own filter finds parts of names too."""
    return [one for one in client.networks(names=[name]) if one.get("Name") == name]
