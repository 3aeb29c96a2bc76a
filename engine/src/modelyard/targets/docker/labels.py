"""The labels of our containers: all there is to know of a replica, readable by people and by a fresh engine. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from modelyard.targets.replicas import NOTHING, Granted, is_id

ENGINE = "dev.modelyard.engine"
SERVICE = "dev.modelyard.service"
REVISION = "dev.modelyard.revision"
REPLICA = "dev.modelyard.replica"
NODE = "dev.modelyard.node"
GRANT = "dev.modelyard.grant"
PREFIX = "modelyard"
_DELETING = "-deleting"
"""Labels cannot be changed; a name can, and this end of it says that nobody may start it again."""


@attrs.frozen
class Identity:
    """Whose container it is, and of which replica."""

    engine: str
    service: str
    revision: int
    replica: str


def labels_of(identity: Identity, given: Granted) -> dict[str, str]:
    """Say everything in labels."""
    grant = {
        "device_ids": list(given.device_ids),
        "cpu_millicores": given.cpu_millicores,
        "memory_bytes": given.memory_bytes,
    }
    return {
        ENGINE: identity.engine,
        SERVICE: identity.service,
        REVISION: str(identity.revision),
        REPLICA: identity.replica,
        NODE: given.node,
        GRANT: json.dumps(grant, sort_keys=True),
    }


def identity_of(labels: Mapping[str, str]) -> Identity | None:
    """Read whose container it is; None = no replica's."""
    replica, revision = labels.get(REPLICA, ""), labels.get(REVISION, "")
    if not is_id(replica) or not (revision.isascii() and revision.isdigit()):
        return None
    return Identity(labels.get(ENGINE, ""), labels.get(SERVICE, ""), int(revision), replica)


def granted_of(labels: Mapping[str, str]) -> Granted:
    """Read what was set apart; nothing where the label says nothing sensible."""
    try:
        raw = json.loads(labels[GRANT])
        return Granted(
            node=labels.get(NODE, ""),
            device_ids=tuple(str(one) for one in raw["device_ids"]),
            cpu_millicores=int(raw["cpu_millicores"]),
            memory_bytes=int(raw["memory_bytes"]),
        )
    except (KeyError, ValueError, TypeError):
        return attrs.evolve(NOTHING, node=labels.get(NODE, ""))


def network_name(engine: str) -> str:
    """Name the network of an engine's replicas."""
    return f"{PREFIX}-{engine}"


def container_name(engine: str, replica: str) -> str:
    """Name a replica's container."""
    return f"{PREFIX}-{engine}-{replica}"


def deleting_name(engine: str, replica: str) -> str:
    """Name the container of a replica that is being removed."""
    return container_name(engine, replica) + _DELETING


def is_deleting(name: str) -> bool:
    """Say whether a container of this name is being removed."""
    return name.endswith(_DELETING)
