"""What containers of this machine cannot give. Pure."""

from __future__ import annotations

from modelyard.api import ModelyardError, Refusal, ServiceSpec, UserError
from modelyard.containers import DaemonFacts

_LEAST_MEMORY_BYTES = 6 * 1024 * 1024
"""Docker's own least."""
_LEAST_MILLICORES = 10
CDI_API = (1, 44)
"""Docker 25: the first whose devices may be named so."""


def refusals(spec: ServiceSpec, *, plugin: str, system: str, is_local: bool) -> tuple[Refusal, ...]:
    """Refuse what cannot be served; empty = all of it can. `system` is what `uname` says."""
    resources = spec.resources
    memory, cores = resources.memory_limit_bytes, resources.cpu_limit_millicores
    asked = (
        (
            memory is not None and memory < _LEAST_MEMORY_BYTES,
            "memory_limit_too_small",
            "Docker gives no container less than 6 MiB",
            "raise resources.memory_limit",
        ),
        (
            cores is not None and cores < _LEAST_MILLICORES,
            "cpu_limit_too_small",
            "Docker gives no container less than a hundredth of a core",
            "raise resources.cpu_limit",
        ),
        (
            system != "Linux",
            "docker_not_on_linux",
            f"on {system} containers run in a virtual machine, where the router does not reach them",
            "choose `target: process`",
        ),
        (
            not is_local,
            "docker_remote",
            "the Docker daemon is not on this machine, so the router does not reach its containers",
            "unset DOCKER_HOST, or name a local socket in it (`unix:///var/run/docker.sock`)",
        ),
    )
    return tuple(
        Refusal(plugin=plugin, code=code, message=message, remedy=remedy)
        for refused, code, message, remedy in asked
        if refused
    )


def unusable(facts: DaemonFacts, address: str) -> ModelyardError | None:
    """Say what of this daemon keeps replicas from being served; None = nothing."""
    if not facts.rootless:
        return None
    return UserError(
        "this Docker daemon runs rootless: its containers have no address on this machine",
        place=address,
        remedy="use the system's daemon (`DOCKER_HOST=unix:///var/run/docker.sock`), or `target: process`",
    )


def cdi_unsupported(facts: DaemonFacts, address: str) -> UserError:
    """Say that devices cannot be named by CDI here."""
    api = ".".join(map(str, facts.api_version))
    return UserError(
        f"the granted devices are named by CDI, which Docker {facts.version} (API {api}) does not know",
        place=address,
        remedy="update Docker to 25 or newer",
    )
