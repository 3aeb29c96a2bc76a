"""Every key of `engine.yaml`, described once: parsing, schema, plans and docs all come from this table."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import attrs

from modelyard.api import CodeRef, ServiceSpec
from modelyard.spec.choices import Choice, Flag
from modelyard.spec.kinds import Integer, Kind, Number, Text, TextList, TextMap
from modelyard.spec.lock_files import LockFileKind
from modelyard.spec.places import PATH
from modelyard.spec.quantities import (
    format_bytes,
    format_cpu,
    format_duration,
    format_memory,
    parse_bytes,
    parse_duration,
    parse_quantity_cpu,
    parse_quantity_memory,
)
from modelyard.spec.requirements import Requirements
from modelyard.spec.structures import Accelerators, CondaFile, Dockerfile, FolderPath, Models, Origins

API_VERSION = "modelyard.dev/v1alpha1"
GIVEN = "x-given"
"""The private key that carries `ServiceSpec.given` from `to_raw` to `parse_service`."""


@attrs.frozen
class Field:
    """One key: where its value goes in the spec (empty = it only steers parsing), its kind, what it means."""

    key: str
    attribute: str
    kind: Kind
    description: str
    required: bool = False

    @property
    def default(self) -> Any:
        """The value that stands when the file says nothing."""
        return attrgetter(self.attribute)(_DEFAULTS) if self.attribute and not self.required else None


def _seconds(low: float, high: float) -> Number:
    return Number(parse_duration, format_duration, low, high, "60s, 500ms or 2m")


_CPU = Number(
    parse_quantity_cpu, lambda v: format_cpu(int(v)), 1, 1_000_000, "500m or 0.5", lambda v: f"{v}m"
)
_MEMORY = Number(parse_quantity_memory, lambda v: format_memory(int(v)), 2**20, 2**50, "512Mi or 2G")
_BODY = Number(parse_bytes, lambda v: format_bytes(int(v)), 1_000, 2**31, "100MB or 100Mi")
_NAME = Text(r"[a-z]([-a-z0-9]*[a-z0-9])?", "lower-case letters, digits and -, starting with a letter", 3, 32)
_RECORD = Text(r"[a-z][a-z0-9-]{0,62}", "a name in lower case", 1, 63)
_VARIABLES = TextMap(
    Text(r"[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and _", 1, 256),
    Text(longest=65_536),
    private=True,
)
_PYTHON = Text(r"3\.([89]|[1-9]\d)", "3.8 or newer, as 3.11", 3, 4)
_DEFAULTS = ServiceSpec(name="", code=CodeRef(source="", entry=""))

FIELDS: tuple[Field, ...] = (
    Field(
        "apiVersion", "", Text(API_VERSION.replace(".", r"\."), API_VERSION), "The version of this format."
    ),
    Field("name", "name", _NAME, "The service's name, unique in the engine; part of its URL.", required=True),
    Field("description", "description", Text(), "What the service is for."),
    Field("tags", "tags", TextMap(), "Labels to find the service by."),
    Field("models", "models", Models(), "Model files or folders, each a path or name, path and version."),
    Field(
        "code.source", "code.source", FolderPath(), "The project folder; the file's own folder by default."
    ),
    Field(
        "code.entry",
        "code.entry",
        PATH,
        "The script with init() and run(), inside the source.",
        required=True,
    ),
    Field(
        "code.sample",
        "code.sample",
        PATH,
        "A request body inside the source; every new replica scores it once.",
    ),
    Field(
        "environment.base", "environment.base", Text(r"\S+", "an image reference", 1, 512), "The base image."
    ),
    Field(
        "environment.python",
        "environment.python",
        _PYTHON,
        "The Python version; the engine's own by default.",
    ),
    Field(
        "environment.requirements",
        "environment.requirements",
        Requirements(),
        "Packages, as a list or the path of a requirements file or a lock file.",
    ),
    Field(
        "environment.lock_file",
        "environment.lock_file",
        LockFileKind(),
        "A lock file (PEP 751, `pylock.toml`), which decides alone.",
    ),
    Field("environment.conda_file", "environment.conda", CondaFile(), "A conda environment file."),
    Field("environment.docker_steps", "environment.docker_steps", TextList(), "Dockerfile lines to run."),
    Field(
        "environment.dockerfile",
        "environment.dockerfile",
        Dockerfile(),
        "A Dockerfile whose image is the base; it copies from the code's folder.",
    ),
    Field(
        "environment.variables", "environment.variables", _VARIABLES, "Environment variables of the script."
    ),
    Field("resources.cpu", "resources.cpu_millicores", _CPU, "CPU that each replica asks for."),
    Field("resources.memory", "resources.memory_bytes", _MEMORY, "Memory that each replica asks for."),
    Field("resources.limits.cpu", "resources.cpu_limit_millicores", _CPU, "The most CPU a replica may use."),
    Field(
        "resources.limits.memory",
        "resources.memory_limit_bytes",
        _MEMORY,
        "The most memory a replica may use.",
    ),
    Field(
        "resources.accelerator",
        "resources.accelerator",
        Accelerators(),
        "Devices in order of preference: the first that can be granted wins.",
    ),
    Field(
        "replicas",
        "",
        Integer(1, 1_000),
        "A fixed number of replicas, instead of scaling.min and scaling.max.",
    ),
    Field("scaling.min", "scaling.minimum", Integer(1, 1_000), "The fewest replicas."),
    Field("scaling.max", "scaling.maximum", Integer(1, 1_000), "The most replicas."),
    Field(
        "scaling.target_utilization",
        "scaling.target_utilization_percent",
        Integer(1, 100),
        "The share of busy request slots to aim at, percent.",
    ),
    Field(
        "scaling.refresh_seconds",
        "scaling.refresh_seconds",
        _seconds(0.25, 3600),
        "Time between two decisions.",
    ),
    Field("scaling.scaler", "scaling.scaler", _RECORD, "The scaler that decides."),
    Field(
        "request.timeout", "request.timeout_seconds", _seconds(0.001, 300), "The longest a request may take."
    ),
    Field(
        "request.max_concurrent",
        "request.max_concurrent",
        Integer(1, 1_000),
        "Requests a replica runs at once.",
    ),
    Field(
        "request.queue_wait",
        "request.queue_wait_seconds",
        _seconds(0, 300),
        "The longest a request may queue.",
    ),
    Field("request.max_body", "request.max_body_bytes", _BODY, "The largest request body."),
    Field(
        "probes.startup_timeout",
        "probes.startup_timeout_seconds",
        _seconds(1, 3600),
        "Time for init() and the warm-up.",
    ),
    Field(
        "probes.initial_delay",
        "probes.initial_delay_seconds",
        _seconds(0, 3600),
        "Time before the first probe.",
    ),
    Field("probes.period", "probes.period_seconds", _seconds(0.1, 3600), "Time between two probes."),
    Field("probes.timeout", "probes.timeout_seconds", _seconds(0.1, 300), "The longest a probe may take."),
    Field(
        "probes.success_threshold",
        "probes.success_threshold",
        Integer(1, 100),
        "Probes in a row that mend it.",
    ),
    Field(
        "probes.failure_threshold",
        "probes.failure_threshold",
        Integer(1, 100),
        "Probes in a row that fail it.",
    ),
    Field(
        "isolation",
        "isolation",
        Choice(("auto", "thread", "process")),
        "Where the script runs: in the server's process, in processes with an environment of their own, or,"
        " with auto, in a thread where its packages resolve together with the runtime's.",
    ),
    Field("workers", "workers", Integer(1, 64), "Worker processes of a replica, each with its own init()."),
    Field(
        "batching.max_size",
        "batching.max_size",
        Integer(1, 1_000),
        "Requests to run together at most, for scripts that declare it; 1 is never.",
    ),
    Field(
        "batching.max_wait",
        "batching.max_wait_seconds",
        _seconds(0, 10),
        "The longest the first request of a batch waits for others.",
    ),
    Field(
        "compat",
        "compat",
        Choice(("strict-v1",)),
        "Whose answers to give where Azure ML v1 answered wrongly: right ones, or with strict-v1 its own.",
    ),
    Field("cors", "cors", Origins(), "Origins whose pages may call from a browser; * is any."),
    Field("grpc.compression", "grpc.compression", Flag(), "Whether gRPC takes and sends gzip."),
    Field(
        "grpc.max_compression_ratio",
        "grpc.max_compression_ratio",
        Integer(1, 10_000),
        "A gzip message that grows beyond this many times its size is refused.",
    ),
    Field(
        "multi_model.enabled",
        "multi_model.enabled",
        Flag(),
        "Whether each model is served by its own name, in processes of its own, loaded when it is asked for.",
    ),
    Field(
        "multi_model.memory",
        "multi_model.memory_bytes",
        _MEMORY,
        "Memory of all loaded models; past it the least recently used one is unloaded.",
    ),
    Field("auth", "auth", _RECORD, "How callers are told apart: key, none, or what a plugin offers."),
    Field("target", "target", _RECORD, "Where replicas run: process, docker, or what a plugin offers."),
)

BY_KEY = {field.key: field for field in FIELDS}


def sections_of(fields: Iterable[Field]) -> dict[str, Any]:
    """Arrange fields as the file nests them: section name -> fields by name."""
    tree: dict[str, Any] = {}
    for field in fields:
        *sections, name = field.key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = field
    return tree
