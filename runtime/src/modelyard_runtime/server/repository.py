"""The model repository, whichever protocol asks: what there is and how it stands, loading and unloading by name."""

from __future__ import annotations

from modelyard_runtime.scoring import Standing
from modelyard_runtime.scoring.catalog import Loading
from modelyard_runtime.server.problems import BadInput, NotReady, Unimplemented
from modelyard_runtime.server.service import Service

_TAKEN = frozenset({"unload_dependents"})
"""No model depends on another here: this asks for nothing."""


def index(service: Service, repository: str, *, only_ready: bool) -> list[Standing]:
    """List every version of every model. Raises `BadInput` for a repository by name: there is one, without."""
    _check_repository(repository)
    return [one for one in _standings(service) if one.state == "READY" or not only_ready]


async def load(service: Service, repository: str, name: str, version: str = "") -> None:
    """Load a model; returns once it serves. Raises a `Problem`, a `Refusal`."""
    await _loading(service, repository).load(name, version, service.deadline())


async def unload(service: Service, repository: str, name: str, version: str = "") -> None:
    """Unload a model, or all its versions; returns once its memory is free. Raises a `Problem`, a `Refusal`."""
    await _loading(service, repository).unload(name, version)


def check_parameters(given: object) -> None:
    """Refuse what would change a model: they are the service's, not its clients'. Raises `BadInput`."""
    if not isinstance(given, dict):
        raise BadInput("must be an object", place="parameters")
    for name in given:
        if name not in _TAKEN:
            raise BadInput(
                "a model is loaded as the service was deployed: leave this parameter out",
                place=f"parameters.{name}",
            )


def _standings(service: Service) -> list[Standing]:
    standings = list(service.catalog.standings())
    if not service.draining:
        return standings
    return [one._replace(state="UNAVAILABLE", reason="this replica is draining") for one in standings]


def _loading(service: Service, repository: str) -> Loading:
    _check_repository(repository)
    if not isinstance(service.catalog, Loading):
        raise Unimplemented(
            "no model is loaded or unloaded by name: init() of this replica's one script loads them all;"
            " for models that come and go, set multi_model.enabled in engine.yaml (by hand: --multi-model)"
        )
    if not service.ready:
        raise NotReady(service.unready)
    return service.catalog


def _check_repository(repository: str) -> None:
    if repository:
        raise BadInput(
            f"there is no repository '{repository}': this replica has one, without a name; leave the name out",
            place="repository_name",
        )
