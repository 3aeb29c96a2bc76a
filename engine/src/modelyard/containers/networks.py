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


async def remove_network(daemon: Daemon, name: str) -> bool:
    """Remove it; absent is fine. False = it stays, for somebody else put a container on it."""

    def work(client: APIClient) -> bool:
        from docker.errors import APIError

        try:
            for found in _find(client, name):
                client.remove_network(found["Id"])
        except APIError as error:
            if "has active endpoints" not in str(error.explanation):
                raise
            return False
        return True

    with contextlib.suppress(Absent):
        return await daemon.call("remove a network", work, seconds=CHANGE_SECONDS)
    return True


def _find(client: APIClient, name: str) -> list[dict[str, Any]]:
    """Find by exact name: the daemon's own filter finds parts of names too."""
    return [one for one in client.networks(names=[name]) if one.get("Name") == name]
