"""From the router's state to Envoy's resources. Pure and deterministic: same state, same versions.

A type's version is the hash of its content, so an answer that says nothing new is recognised as such,
by a restarted controller too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

from modelyard.api import UserError
from modelyard.router import protos
from modelyard.router.clusters import cluster, load_assignment, runtime
from modelyard.router.listeners import listener
from modelyard.router.routes import cluster_name, route_configuration
from modelyard.router.states import RouterState, qualified_name

Documents = Mapping[str, Mapping[str, Mapping[str, Any]]]
_VERSION_LETTERS = 16


@attrs.frozen
class TypedResources:
    """All resources of one type, serialised, by name."""

    version: str
    items: Mapping[str, bytes]


@attrs.frozen
class Resources:
    """What one router gets: resources by type URL. May be partial while it is still arriving."""

    types: Mapping[str, TypedResources]

    @property
    def version(self) -> str:
        """One version for the whole: the hash of the types' versions."""
        return _digest([self.types[url].version if url in self.types else "" for url in protos.TYPES])

    @property
    def complete(self) -> bool:
        """Whether every type is there."""
        return all(url in self.types for url in protos.TYPES)

    def replacing(self, type_url: str, resources: TypedResources) -> Resources:
        """Return these resources with one type changed."""
        return Resources({**self.types, type_url: resources})


EMPTY = Resources({})


def resources(state: RouterState) -> Resources:
    """Turn a state into resources. Raises `UserError` when two services claim one name or one address."""
    return encode_documents(describe(state))


def describe(state: RouterState) -> Documents:
    """Write the resources as Envoy's JSON, by type URL and name; `resources` encodes exactly this."""
    _check_unique(state)
    services = sorted(state.services, key=cluster_name)
    listening, routes, layer = listener(state), route_configuration(state), runtime(state)
    return {
        protos.CLUSTER: {cluster_name(service): cluster(service) for service in services},
        protos.ENDPOINTS: {cluster_name(service): load_assignment(service) for service in services},
        protos.LISTENER: {listening["name"]: listening},
        protos.ROUTES: {routes["name"]: routes},
        protos.RUNTIME: {layer["name"]: layer},
    }


def encode_documents(documents: Documents) -> Resources:
    """Serialise documents; the version comes from their JSON, since messages inside an Any have no order."""
    return Resources(
        {
            url: TypedResources(
                version=_digest(by_name),
                items={name: protos.encode(url, document) for name, document in by_name.items()},
            )
            for url, by_name in documents.items()
        }
    )


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_LETTERS]


def _check_unique(state: RouterState) -> None:
    names = [qualified_name(service) for service in state.services]
    _refuse_twins(names, "service")
    for service in state.services:
        _refuse_twins([e.address for e in service.endpoints], f"endpoint of {qualified_name(service)}")


def _refuse_twins(values: list[str], what: str) -> None:
    twins = sorted({value for value in values if values.count(value) > 1})
    if twins:
        raise UserError(
            f"the router was given the {what} {twins[0]} twice", remedy="publish each of them once"
        )
