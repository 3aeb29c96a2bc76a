"""What a person may say to start one replica by hand, and the contract it amounts to.

Every option stands for a field of `contract.StartContract`; what is not said keeps that field's default.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard_runtime.contract import Batching, StartContract
from modelyard_runtime.replica.layout import LocalModel, read_model
from modelyard_runtime.replica.options import make_parser
from modelyard_runtime.replica.v1_variables import settle
from modelyard_runtime.replica.variables import EXTRA_REQUIREMENTS

_NOT_IN_A_SERVICE = re.compile(r"[^a-z0-9-]+")


class WrongArguments(Exception):
    """The arguments do not fit together; `str()` says what to change."""


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """What was asked. `contract` lacks the folders, which exist only once the replica is about to start."""

    contract: StartContract
    models: tuple[LocalModel, ...]
    app_root: str
    check: bool
    as_json: bool


def parse(arguments: Sequence[str]) -> ByHand:
    """Read the command line; exits as argparse does. Raises `WrongArguments`, `layout.WrongModels`."""
    said = make_parser().parse_args(arguments)
    try:
        settle(said)
    except argparse.ArgumentTypeError as error:
        raise WrongArguments(str(error)) from error
    code = Path(said.code).absolute()
    if not code.is_dir():
        raise WrongArguments(f"--code {said.code}: there is no such folder")
    if said.app_root is not None and said.model:
        raise WrongArguments("--app-root brings the models that lie in it: leave out --model, or --app-root")
    if said.multi_model and not said.model and said.app_root is None:
        raise WrongArguments(
            "--multi-model: there is no model to serve; name each with --model, or --app-root"
        )
    models = tuple(read_model(text) for text in said.model)
    return ByHand(
        contract=_contract(said, code),
        models=models,
        app_root=str(Path(said.app_root).absolute()) if said.app_root is not None else "",
        check=said.check,
        as_json=said.json,
    )


def service_name(text: str) -> str:
    """Make a name for a service out of a folder's."""
    return _NOT_IN_A_SERVICE.sub("-", text.lower()).strip("-") or "service"


def _contract(said: argparse.Namespace, code: Path) -> StartContract:
    needs_process = said.python is not None or said.workers > 1 or said.multi_model
    installs = any(name == EXTRA_REQUIREMENTS for name, _ in said.env)
    if said.isolation == "thread" and needs_process:
        raise WrongArguments("--python, --workers and --multi-model need processes: use --isolation process")
    if said.workers > said.max_concurrent:
        raise WrongArguments(
            f"{said.workers} workers, but {said.max_concurrent} requests at once: some would never have work; "
            f"raise --max-concurrent to {said.workers}, or lower --workers"
        )
    if said.model_memory and not said.multi_model:
        raise WrongArguments(
            "--model-memory is the budget of models that come and go: it needs --multi-model"
        )
    if said.model_memory >= said.memory > 0:
        raise WrongArguments("--model-memory would never be reached: make it less than --memory")
    if said.max_batch_size == 1 and said.max_batch_wait:
        raise WrongArguments("--max-batch-wait needs --max-batch-size of at least 2")
    # packages that nobody has seen yet must not meet the server's
    isolation = "process" if needs_process or (installs and said.isolation == "auto") else said.isolation
    drain_timeout_s = said.timeout + said.queue_wait if said.drain_timeout is None else said.drain_timeout
    return StartContract(
        service=said.name or service_name(code.name),
        revision=0,
        replica="",
        run_dir="",
        log_dir="",
        code_dir=str(code),
        entry=said.entry,
        host=said.host,
        port=said.port,
        isolation="thread" if isolation == "auto" else isolation,
        worker_python=str(Path(said.python).absolute()) if said.python is not None else "",
        workers=said.workers,
        batching=Batching(max_size=said.max_batch_size, max_wait_s=said.max_batch_wait),
        compat=said.compat,
        multi_model=said.multi_model,
        model_memory_bytes=said.model_memory,
        cors_origins=tuple(said.cors),
        compression=said.compression,
        max_compression_ratio=said.max_compression_ratio,
        sample=str(Path(said.sample).absolute()) if said.sample is not None else "",
        variables=dict(said.env),
        max_concurrent=said.max_concurrent,
        max_queued=10 * said.max_concurrent if said.max_queued is None else said.max_queued,
        queue_wait_s=said.queue_wait,
        timeout_s=said.timeout,
        max_body_bytes=said.max_body,
        startup_timeout_s=said.startup_timeout,
        drain_timeout_s=drain_timeout_s,
        memory_limit_bytes=said.memory,
    )
