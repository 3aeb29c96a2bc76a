"""What a replica's container is made of. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
from modelyard_runtime.contract import START_VARIABLE, ContractError, StartContract, encode_contract

from modelyard.api import DeviceGrant, ReplicaPlan, UserError, Workload
from modelyard.containers import Bind, DeviceNode, Health, Order, Tmpfs
from modelyard.targets.contracts import Ports, start_contract
from modelyard.targets.docker.labels import Identity, container_name, labels_of, network_name
from modelyard.targets.replicas import granted

DATA_PORT = 8080
"""HTTP/1.1 and HTTP/2, in clear text: the router's way in."""
STATUS_PORT = 8081
"""The parent's own words on its replica."""
RUN_FOLDER = "/run/modelyard"
USER = 65532
STOP_SECONDS = 10
"""What a parent may take beyond its drain to end its server."""
_MIB = 1024 * 1024
_RUN_BYTES = 64 * _MIB
_TMP_BYTES = 512 * _MIB
_SHARED_MEMORY_BYTES = 256 * _MIB
"""Libraries that share tensors between processes want more than Docker's 64 MiB."""
_PROCESSES = 4096
"""Threads count: BLAS and data loaders start one a core, each worker its own."""
_LOG_BYTES, _LOG_FILES = 16_000_000, 4
_HEALTH_SECONDS = 5.0
"""Starting Python for the question takes a tenth of a second, on a busy machine more."""
_GPUS = "NVIDIA_VISIBLE_DEVICES"


@attrs.frozen
class Site:
    """Where a replica starts: the engine's name, the image's id, the groups of device nodes on this machine."""

    engine: str
    image: str
    groups: Mapping[str, int] = attrs.field(factory=dict)


def order_of(workload: Workload, plan: ReplicaPlan, site: Site) -> Order:
    """Say what the container of one planned replica is made of.

    Raises `UserError` when the start contract is too long for a variable.
    """
    spec, resources = workload.spec, workload.spec.resources
    contract = start_contract(
        workload,
        plan,
        run_dir=RUN_FOLDER,
        log_dir="",
        ports=Ports("0.0.0.0", DATA_PORT, STATUS_PORT),  # noqa: S104
    )
    identity = Identity(site.engine, spec.name, workload.revision, plan.id)
    return Order(
        name=container_name(site.engine, plan.id),
        hostname=plan.id[:63],
        image=site.image,
        command=_command(workload, "--from-environment"),
        environment=_environment(contract, plan.grant),
        labels=labels_of(identity, granted(workload, plan)),
        user=f"{USER}:{USER}",
        folder="/",
        network=network_name(site.engine),
        stop_seconds=math.ceil(contract.drain_timeout_s) + STOP_SECONDS,
        health=_health(workload, contract),
        tmpfs=(
            Tmpfs(RUN_FOLDER, _RUN_BYTES, "0700", USER),
            Tmpfs("/tmp", _TMP_BYTES, "1777"),  # noqa: S108  the container's own
        ),
        shared_memory_bytes=_SHARED_MEMORY_BYTES,
        memory_bytes=resources.memory_bytes,
        memory_limit_bytes=resources.memory_limit_bytes,
        cpu_millicores=resources.cpu_millicores,
        cpu_limit_millicores=resources.cpu_limit_millicores,
        processes=_PROCESSES,
        log_bytes=_LOG_BYTES,
        log_files=_LOG_FILES,
        binds=tuple(_bind(one) for one in plan.grant.mounts),
        devices=tuple(DeviceNode(one, site.groups.get(one)) for one in plan.grant.device_nodes),
        device_requests=_device_requests(plan.grant),
    )


def _command(workload: Workload, word: str) -> tuple[str, ...]:
    return (f"{workload.environment}/bin/python", "-I", "-m", "modelyard_runtime.replica", word)


def _environment(contract: StartContract, grant: DeviceGrant) -> dict[str, str]:
    try:
        start = encode_contract(contract)
    except ContractError as error:
        message, _, remedy = str(error).partition(": ")
        raise UserError(message, place=contract.service, remedy=remedy or "ask for less") from error
    # Where NVIDIA's runtime is the default one, a container that names no GPU would see them all.
    return {_GPUS: "void", **grant.environment, START_VARIABLE: start}


def _health(workload: Workload, contract: StartContract) -> Health:
    return Health(
        command=_command(workload, "--health"),
        period_seconds=max(contract.probe.period_s, 1.0),
        timeout_seconds=max(contract.probe.timeout_s, _HEALTH_SECONDS),
        start_seconds=contract.startup_timeout_s,
        failures=contract.probe.failure_threshold,
    )


def _device_requests(grant: DeviceGrant) -> tuple[Mapping[str, object], ...]:
    if not grant.cdi_names:
        return grant.docker_device_requests
    # the two ways lead to the same devices: asked for both, Docker would bring them in twice
    return ({"Driver": "cdi", "DeviceIDs": list(grant.cdi_names)},)


def _bind(text: str) -> Bind:
    """Read `source`, `source:target` or `source:target:rw`; read-only unless it says otherwise."""
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    return Bind(source, target or source, read_only=mode != "rw")
