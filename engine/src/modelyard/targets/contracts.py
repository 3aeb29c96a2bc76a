"""Turn a workload and one planned replica into the start contract. Pure."""

from __future__ import annotations

from pathlib import Path

import attrs
from modelyard_runtime.contract import Batching, ModelEntry, Probe, StartContract

from modelyard.api import ModelRef, ProbeSpec, ReplicaPlan, ServiceSpec, Workload
from modelyard.control.isolating import EXTRA_REQUIREMENTS
from modelyard.environments.uv import uv_binary


@attrs.frozen
class Ports:
    """Where a replica listens beside its socket; 0 = nowhere."""

    host: str = "127.0.0.1"
    data: int = 0
    status: int = 0


NO_PORTS = Ports()


def start_contract(
    workload: Workload, plan: ReplicaPlan, *, run_dir: str, log_dir: str, ports: Ports = NO_PORTS
) -> StartContract:
    """Say everything the replica needs to know; where a variable is also granted, the grant wins.

    An empty `log_dir` sends its log to standard output.
    """
    spec, request = workload.spec, workload.spec.request
    sample = str(Path(workload.code_dir) / spec.code.sample) if spec.code.sample else ""
    return StartContract(
        service=spec.name,
        revision=workload.revision,
        replica=plan.id,
        run_dir=run_dir,
        log_dir=log_dir,
        host=ports.host,
        port=ports.data,
        status_port=ports.status,
        code_dir=workload.code_dir,
        entry=spec.code.entry,
        app_root=workload.app_root,
        model_dir=workload.model_dir,
        models=tuple(_model(workload, one) for one in spec.models),
        multi_model=spec.multi_model.enabled,
        model_memory_bytes=spec.multi_model.memory_bytes or 0,
        isolation="process" if workload.worker_environment else "thread",
        worker_python=_python(workload.worker_environment),
        workers=spec.workers,
        batching=Batching(max_size=spec.batching.max_size, max_wait_s=spec.batching.max_wait_seconds),
        compat=spec.compat or "",
        cors_origins=spec.cors,
        compression=spec.grpc.compression,
        max_compression_ratio=spec.grpc.max_compression_ratio,
        sample=sample,
        variables={**_installer(spec), **spec.environment.variables, **plan.grant.environment},
        max_concurrent=request.max_concurrent,
        max_queued=request.max_queued,
        queue_wait_s=request.queue_wait_seconds,
        timeout_s=request.timeout_seconds,
        max_body_bytes=request.max_body_bytes,
        startup_timeout_s=spec.probes.startup_timeout_seconds,
        # the last request that was let in may wait, then run, for as long as any other
        drain_timeout_s=request.queue_wait_seconds + request.timeout_seconds,
        probe=_probe(spec.probes),
        memory_limit_bytes=spec.resources.memory_limit_bytes or 0,
    )


def _model(workload: Workload, model: ModelRef) -> ModelEntry:
    return ModelEntry(
        name=model.name, version=model.version, path=str(Path(workload.app_root) / model.folder)
    )


def _installer(spec: ServiceSpec) -> dict[str, str]:
    """Return where uv is for a replica that installs packages: environments made by uv have no pip."""
    return {"UV": uv_binary()} if EXTRA_REQUIREMENTS in spec.environment.variables else {}


def _python(environment: str) -> str:
    return str(Path(environment) / "bin" / "python") if environment else ""


def _probe(probes: ProbeSpec) -> Probe:
    return Probe(
        initial_delay_s=probes.initial_delay_seconds,
        period_s=probes.period_seconds,
        timeout_s=probes.timeout_seconds,
        success_threshold=probes.success_threshold,
        failure_threshold=probes.failure_threshold,
    )
