"""Docker: the one room that imports docker-py.

Lives here: asking a daemon about its containers, networks and images, and changing them, each call in a
thread with a time limit. Spoken of in our own values; every failure is one of the error tree.
Never here: what a replica is, which containers there should be. May import `api`.
"""

from modelyard.containers.archives import Archive, Layer, open_archive, shared_layers
from modelyard.containers.connecting import DEFAULT_ADDRESS, Daemon, daemon_address
from modelyard.containers.following import follow, tail
from modelyard.containers.holding import (
    create,
    inspect,
    list_labelled,
    list_users,
    remove,
    rename,
    resume,
    send_signal,
    start,
)
from modelyard.containers.images import Image, find_image, known_chains, load, remove_tag
from modelyard.containers.networks import ensure_network, remove_network
from modelyard.containers.orders import Bind, DeviceNode, Health, Order, Tmpfs
from modelyard.containers.values import (
    Absent,
    Container,
    DaemonFacts,
    Inspected,
    NameTaken,
    State,
)

__all__ = [
    "DEFAULT_ADDRESS",
    "Absent",
    "Archive",
    "Bind",
    "Container",
    "Daemon",
    "DaemonFacts",
    "DeviceNode",
    "Health",
    "Image",
    "Inspected",
    "Layer",
    "NameTaken",
    "Order",
    "State",
    "Tmpfs",
    "create",
    "daemon_address",
    "ensure_network",
    "find_image",
    "follow",
    "inspect",
    "known_chains",
    "list_labelled",
    "list_users",
    "load",
    "open_archive",
    "remove",
    "remove_network",
    "remove_tag",
    "rename",
    "resume",
    "send_signal",
    "shared_layers",
    "start",
    "tail",
]
