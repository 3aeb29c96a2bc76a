"""Containers of a daemon: list, look into, make, start, signal, remove. Each does one thing and decides nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelyard.containers.connecting import ASK_SECONDS, CHANGE_SECONDS, Daemon
from modelyard.containers.orders import Order, api_config
from modelyard.containers.values import Absent, Container, Inspected, container_of, inspected_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import APIClient


async def list_labelled(daemon: Daemon, labels: Mapping[str, str]) -> tuple[Container, ...]:
    """List every container with all of these labels, whatever its state, in one call."""
    return await _list(daemon, {"label": [f"{name}={value}" for name, value in labels.items()]})


async def list_users(daemon: Daemon, image: str) -> tuple[Container, ...]:
    """List every container, ours or not, that stands on an image or on one made from it."""
    return await _list(daemon, {"ancestor": [image]})


async def _list(daemon: Daemon, filters: Mapping[str, list[str]]) -> tuple[Container, ...]:
    def work(client: APIClient) -> list[dict[str, Any]]:
        return list(client.containers(all=True, filters=dict(filters)))

    found = await daemon.call("list its containers", work)
    return tuple(container_of(one) for one in found)


async def inspect(daemon: Daemon, container: str) -> Inspected:
    """Look into a container by id or name. Raises `Absent`."""
    answer = await daemon.call("look into a container", lambda client: client.inspect_container(container))
    return inspected_of(answer)


async def create(daemon: Daemon, order: Order) -> str:
    """Make a container and return its id; it does not run yet.

    Raises `NameTaken` when there is one of that name, and `Absent` when image or network are missing.
    """

    def work(client: APIClient) -> str:
        return str(client.create_container_from_config(api_config(order), order.name)["Id"])

    return await daemon.call(f"create the container {order.name}", work, seconds=CHANGE_SECONDS)


async def start(daemon: Daemon, container: str) -> None:
    """Start it; one that runs is left alone."""
    await daemon.call("start a container", lambda client: client.start(container), seconds=CHANGE_SECONDS)


async def send_signal(daemon: Daemon, container: str, name: str) -> bool:
    """Send its first process a signal (`SIGTERM`); False = it does not run.

    Docker restarts no container that was sent its stop signal.
    """

    def work(client: APIClient) -> bool:
        with _tolerating(("is not running", "is restarting", "no such process")) as tolerated:
            client.kill(container, name)
        return not tolerated

    return await daemon.call("signal a container", work, seconds=ASK_SECONDS)


async def resume(daemon: Daemon, container: str) -> None:
    """Let a paused one go on."""
    await daemon.call("let a container go on", lambda client: client.unpause(container))


async def rename(daemon: Daemon, container: str, name: str) -> None:
    """Give it another name; its old one may be taken again."""
    await daemon.call("rename a container", lambda client: client.rename(container, name))


async def remove(daemon: Daemon, container: str) -> None:
    """Kill and remove it with its volumes; absent, or being removed by somebody else, is fine."""

    def work(client: APIClient) -> None:
        with _tolerating(("no such container", "is already in progress")):
            client.remove_container(container, v=True, force=True)

    with contextlib.suppress(Absent):
        await daemon.call("remove a container", work, seconds=CHANGE_SECONDS)


@contextlib.contextmanager
def _tolerating(words: tuple[str, ...]) -> Iterator[list[str]]:
    """Swallow an answer that says any of these; the list says which came."""
    from docker.errors import APIError

    tolerated: list[str] = []
    try:
        yield tolerated
    except APIError as error:
        said = str(error.explanation or error).lower()
        tolerated += [one for one in words if one in said]
        if not tolerated:
            raise
