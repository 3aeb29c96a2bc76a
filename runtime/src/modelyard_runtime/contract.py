"""The replica's start contract: what the engine writes before it starts a replica, and what it reads back.

Standard library only, because the engine imports this without the runtime's own dependencies, and
because `modelyard-replica` reads it under the user's interpreter. Both files are JSON, replaced
atomically; `version` is checked on every read. A container has no file from outside: its contract comes in a
variable, and what it reports is asked of its status port.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONTRACT_VERSION = 1

CONTRACT_FILE = "start.json"
STATE_FILE = "state.json"
SOCKET_FILE = "http.sock"
"""The replica's one listener: HTTP/1.1 and HTTP/2 (gRPC) in clear text on a unix socket."""
STATUS_PATH = "/modelyard/status"
"""GET on the replica's own socket, never routed: `{"ready", "draining": bool, "running", "queued": int}`."""
START_VARIABLE = "MODELYARD_START"
"""Holds the contract of a replica that is started with `--from-environment`: a container's."""
REPLICA_PATH = "/modelyard/replica"
"""GET on the parent's status port: a `ReplicaStatus` as JSON, for as long as the parent lives."""
MAX_VARIABLE_BYTES = 131_071
"""What Linux lets one variable hold, its name and the equals sign included."""


class ContractError(ValueError):
    """The file, or the text, is not a contract of a version this release understands."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """Liveness: `GET /` on the replica's socket; past `failure_threshold` misses it is restarted."""

    initial_delay_s: float = 310.0
    period_s: float = 10.0
    timeout_s: float = 2.0
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batching:
    """Requests run together: at most `max_size` (1 = never), the first waits `max_wait_s` at most."""

    max_size: int = 1
    max_wait_s: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One model of a multi-model replica; `path` is the folder its script sees as AZUREML_MODEL_DIR."""

    name: str
    version: str
    path: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartContract:
    """Everything a replica needs to know. Paths are absolute; `run_dir` is private (0700) and short."""

    service: str
    revision: int
    replica: str
    run_dir: str
    """Holds this file, `state.json`, `http.sock`, the server's admin socket."""
    log_dir: str
    """`replica.log`, rotated; empty = the log goes to standard output."""
    code_dir: str
    entry: str
    host: str = "127.0.0.1"
    """Where `port` and `status_port` listen; "0.0.0.0" = wherever this is reached, "::" = by IPv6 too."""
    port: int = 0
    """A TCP port beside the unix socket: by hand, or where the router reaches a replica by address; 0 = none."""
    status_port: int = 0
    """A TCP port of the parent's own, which answers `REPLICA_PATH`; 0 = none."""
    app_root: str = ""
    """AML_APP_ROOT: the folder over `azureml-models`; empty = `code_dir`."""
    model_dir: str = ""
    """AZUREML_MODEL_DIR as the script shall see it; empty = no models."""
    isolation: str = "thread"
    """Where the script runs: "thread" (this process) or "process" (`workers` processes of `worker_python`)."""
    worker_python: str = ""
    """The user's interpreter for "process"; empty = the one the replica runs under."""
    workers: int = 1
    """Worker processes, each with an `init()` of its own; more than one needs "process"."""
    batching: Batching = dataclasses.field(default_factory=Batching)
    compat: str = ""
    """"strict-v1": answer as v1 did where v1 was wrong."""
    cors_origins: tuple[str, ...] = ()
    """Origins that browsers may call from; "*" = any."""
    compression: bool = False
    """Take and send gzip on gRPC."""
    max_compression_ratio: int = 100
    """A compressed message that grows beyond this many times its size is refused."""
    multi_model: bool = False
    """Each of `models` is served by a script of its own, loaded and unloaded by name ("process" only)."""
    models: tuple[ModelEntry, ...] = ()
    """The models a multi-model replica may load; otherwise those whose names it answers to."""
    model_memory_bytes: int = 0
    """Multi-model: past this the least recently used models are unloaded; 0 = no budget."""
    sample: str = ""
    """A request body (file) scored once before the replica says ready; empty = none."""
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    max_concurrent: int = 1
    max_queued: int = 10
    queue_wait_s: float = 0.5
    timeout_s: float = 60.0
    max_body_bytes: int = 100_000_000
    startup_timeout_s: float = 300.0
    drain_timeout_s: float = 60.0
    probe: Probe = dataclasses.field(default_factory=Probe)
    memory_limit_bytes: int = 0
    """0 = no limit. Enforced by a cgroup where one can be made, else by watching resident memory."""
    backoff_initial_s: float = 1.0
    backoff_max_s: float = 60.0
    log_max_bytes: int = 16_000_000
    log_files: int = 4
    version: int = CONTRACT_VERSION

    def backoff_s(self, failures: int) -> float:
        """Return how long to wait after the n-th failure in a row: doubling, up to the limit."""
        doubled = self.backoff_initial_s * 2.0 ** min(max(failures - 1, 0), 30)
        return min(doubled, self.backoff_max_s)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplicaState:
    """What `modelyard-replica` last wrote. `parent_start_ticks` guards against a reused pid.

    `phase`: starting, ready, draining, failed (startup failed for good or is in back-off), stopped.
    """

    service: str
    revision: int
    replica: str
    phase: str
    parent_pid: int
    parent_start_ticks: int
    server_pid: int = 0
    restarts: int = 0
    cause: str = ""
    remedy: str = ""
    cause_class: str = ""
    """What kind of thing `cause` is: a name of `modelyard_runtime.causes`; empty = none yet."""
    exit_status: int | None = None
    resident_bytes: int = 0
    started_at: float = 0.0
    ready_at: float = 0.0
    phase_at: float = 0.0
    """When this phase began."""
    version: int = CONTRACT_VERSION


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplicaStatus(ReplicaState):
    """What a parent answers on its status port; None = its server did not say in time."""

    running: int | None = None
    queued: int | None = None


def start_ticks(pid: int) -> int:
    """Return a process's start time in clock ticks since boot, 0 when it is gone (or on macOS, unknown)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def write_contract(contract: StartContract, path: Path) -> None:
    """Write the contract for `read_contract`; atomic."""
    _replace(path, dataclasses.asdict(contract))


def read_contract(path: Path) -> StartContract:
    """Read a contract. Raises `ContractError` when it is damaged or of another version."""
    return _contract(_load(path), str(path))


def encode_contract(contract: StartContract) -> str:
    """Return the value of `START_VARIABLE`. Raises `ContractError` for one that no variable can hold."""
    text = json.dumps(dataclasses.asdict(contract), sort_keys=True, separators=(",", ":"))
    room = MAX_VARIABLE_BYTES - len(START_VARIABLE) - 1
    if len(text) > room:  # ASCII, so characters are bytes
        raise ContractError(
            f"the start contract takes {len(text)} bytes, but a variable holds {room}: "
            "serve fewer models with one service, or set fewer and shorter variables"
        )
    return text


def decode_contract(text: str) -> StartContract:
    """Read what `encode_contract` returned. Raises `ContractError` as `read_contract` does."""
    return _contract(_parse(text, START_VARIABLE), START_VARIABLE)


def _contract(raw: dict[str, Any], where: str) -> StartContract:
    try:
        probe, batching, models = raw.pop("probe", {}), raw.pop("batching", {}), raw.pop("models", ())
        return StartContract(
            **{**raw, "cors_origins": tuple(raw.get("cors_origins", ()))},
            probe=Probe(**probe),
            batching=Batching(**batching),
            models=tuple(ModelEntry(**model) for model in models),
        )
    except TypeError as error:
        msg = f"{where}: {error}"
        raise ContractError(msg) from error


def write_state(state: ReplicaState, path: Path) -> None:
    """Write the state for `read_state`; atomic."""
    _replace(path, dataclasses.asdict(state))


def read_state(path: Path) -> ReplicaState:
    """Read a state. Raises `ContractError` when it is damaged or of another version."""
    try:
        return ReplicaState(**_load(path))
    except TypeError as error:
        msg = f"{path}: {error}"
        raise ContractError(msg) from error


def encode_status(status: ReplicaStatus) -> bytes:
    """Return the document for `read_status`."""
    return json.dumps(dataclasses.asdict(status), sort_keys=True).encode()


def read_status(body: bytes) -> ReplicaStatus:
    """Read what a status port answered. Raises `ContractError` where it is not that, field by field.

    The user's code runs beside the parent that answers, so its words are looked at twice.
    """
    where = "the replica's status"
    raw = _parse(body, where, parse_constant=_refuse)
    for field in dataclasses.fields(ReplicaStatus):
        if field.name in raw and type(raw[field.name]) not in _JSON_TYPES[str(field.type)]:
            msg = f"{where}: {field.name} is not a value of type {field.type}"
            raise ContractError(msg)
    try:
        return ReplicaStatus(**raw)
    except TypeError as error:
        msg = f"{where}: {error}"
        raise ContractError(msg) from error


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "int | None": (int, type(None)),
}
"""Which values a field of this annotation may have; a bool is no number."""


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        msg = f"{path}: {error}"
        raise ContractError(msg) from error
    return _parse(text, str(path))


def _parse(
    text: str | bytes, where: str, *, parse_constant: Callable[[str], object] | None = None
) -> dict[str, Any]:
    try:
        raw = json.loads(text, parse_constant=parse_constant)
    except (ValueError, RecursionError) as error:
        msg = f"{where}: {error}"
        raise ContractError(msg) from error
    if not isinstance(raw, dict) or raw.get("version") != CONTRACT_VERSION:
        msg = f"{where}: not a version {CONTRACT_VERSION} contract"
        raise ContractError(msg)
    return raw


def _refuse(constant: str) -> None:
    msg = f"{constant} is no number"
    raise ValueError(msg)


def _replace(path: Path, content: dict[str, Any]) -> None:
    import tempfile  # slow to load, and a health check writes nothing

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, sort_keys=True)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
