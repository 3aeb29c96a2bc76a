"""Kinds that are more than one value: models, accelerators, paths, a conda file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from modelyard.api import MAX_MODELS, AcceleratorRequest, ModelRef
from modelyard.spec.documents import DocumentError, Node, read_yaml
from modelyard.spec.files import read_text
from modelyard.spec.findings import WrongError, nearest
from modelyard.spec.kinds import Context, Integer, Number, Schema, Text
from modelyard.spec.places import PATH, absolute
from modelyard.spec.quantities import format_memory, parse_bytes

MODEL_NAME = Text(
    r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}", "letters, digits, - . _, starting with a letter or digit", 1, 255
)
MODEL_VERSION = Text(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", "letters, digits, - . _", 1, 128)
_ACCELERATOR: dict[str, Text | Integer | Number] = {
    "kind": Text(r"[a-z][a-z0-9-]{0,62}", "cpu, gpu, fpga or the kind of a plugin", 1, 63),
    "model": Text(allowed="part of the device's model name", longest=200),
    "count": Integer(1, 64),
    "memory": Number(parse_bytes, lambda v: format_memory(int(v)), 0, 2**50, "16Gi or 40GB"),
}
_MAX_PREFERENCES = 16
_FROM = re.compile(r"^\s*FROM\s+\S", re.IGNORECASE | re.MULTILINE)
_MAX_ORIGINS = 100
_ANY = "*"
_ORIGIN = Text(
    r"\*|[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:[0-9]{1,5})?|[a-z][a-z0-9+.-]*://\[[0-9a-f:]+\](:[0-9]{1,5})?",
    "* or an origin as a browser sends it: https://example.com, without a path, in lower case",
    1,
    300,
)
_K = TypeVar("_K")


@attrs.frozen
class FolderPath:
    """An existing folder, relative to the file; absolute afterwards."""

    def parse(self, node: Node, context: Context, key: str) -> str:
        """Read it."""
        path = absolute(PATH.parse(node, context, key), context)
        if context.check_files and not path.is_dir():
            raise WrongError(f"is no folder ({path})", allowed="an existing folder")
        return str(path)

    def dump(self, value: str) -> str:
        """Write it."""
        return value

    def show(self, value: str) -> str:
        """Show it."""
        return value

    def schema(self) -> Schema:
        """Describe it."""
        return {"type": "string", "minLength": 1}


@attrs.frozen
class Models:
    """Models: paths, or mappings of name, path and version."""

    def parse(self, node: Node, context: Context, key: str) -> tuple[ModelRef, ...]:
        """Read it, every wrong model a finding of its own."""
        items = node.value if isinstance(node.value, tuple) else (node,)
        if len(items) > MAX_MODELS:
            raise WrongError(f"has {len(items)} models", allowed=f"at most {MAX_MODELS}")
        found: dict[tuple[str, str], ModelRef] = {}
        for index, item in enumerate(items):
            try:
                if model := _model(item, context, f"{key}[{index}]"):
                    _refuse_twin(model, found)
                    found[model.name, model.version] = model
            except WrongError as error:
                context.wrong(error, item, f"{key}[{index}]")
        return tuple(found.values())

    def dump(self, value: tuple[ModelRef, ...]) -> list[dict[str, str]]:
        """Write it."""
        return [attrs.asdict(model) for model in value]

    def show(self, value: tuple[ModelRef, ...]) -> str:
        """Show it."""
        return ", ".join(f"{model.name}:{model.version} ({model.path})" for model in value)

    def schema(self) -> Schema:
        """Describe it."""
        properties = {"name": MODEL_NAME.schema(), "path": PATH.schema(), "version": MODEL_VERSION.schema()}
        one = {"anyOf": [{"type": "string"}, _closed(properties, required=["path"])]}
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": one, "maxItems": MAX_MODELS}]}


@attrs.frozen
class Accelerators:
    """A preference list of devices; one mapping, or a bare kind, is a list of one."""

    def parse(self, node: Node, context: Context, key: str) -> tuple[AcceleratorRequest, ...]:
        """Read it, every wrong entry a finding of its own."""
        items = node.value if isinstance(node.value, tuple) else (node,)
        if not 1 <= len(items) <= _MAX_PREFERENCES:
            raise WrongError(f"has {len(items)} entries", allowed=f"1 to {_MAX_PREFERENCES} preferences")
        return tuple(_accelerator(item, context, f"{key}[{i}]") for i, item in enumerate(items))

    def dump(self, value: tuple[AcceleratorRequest, ...]) -> list[dict[str, Any]]:
        """Write it."""
        return [{"kind": a.kind, "model": a.model, "count": a.count, "memory": a.memory_bytes} for a in value]

    def show(self, value: tuple[AcceleratorRequest, ...]) -> str:
        """Show it."""
        return ", else ".join(_shown(request) for request in value)

    def schema(self) -> Schema:
        """Describe it."""
        kind = _ACCELERATOR["kind"].schema()
        one = {"anyOf": [kind, _closed({name: k.schema() for name, k in _ACCELERATOR.items()})]}
        return {
            "anyOf": [
                *one["anyOf"],
                {"type": "array", "items": one, "minItems": 1, "maxItems": _MAX_PREFERENCES},
            ]
        }


@attrs.frozen
class Origins:
    """Web origins as browsers send them, or `*` alone."""

    def parse(self, node: Node, context: Context, key: str) -> tuple[str, ...]:
        """Read it, every wrong origin a finding of its own."""
        items = node.value if isinstance(node.value, tuple) else (node,)
        if len(items) > _MAX_ORIGINS:
            raise WrongError(f"has {len(items)} origins", allowed=f"at most {_MAX_ORIGINS}")
        found: dict[str, None] = {}
        for index, item in enumerate(items):
            try:
                found[_ORIGIN.parse(item, context, key)] = None
            except WrongError as error:
                context.wrong(error, item, f"{key}[{index}]")
        if _ANY in found and len(found) > 1:
            raise WrongError("`*` stands beside other origins", allowed="`*` alone, or the origins")
        return tuple(found)

    def dump(self, value: tuple[str, ...]) -> list[str]:
        """Write it."""
        return list(value)

    def show(self, value: tuple[str, ...]) -> str:
        """Show it."""
        return ", ".join(value)

    def schema(self) -> Schema:
        """Describe it."""
        one = _ORIGIN.schema() | {"type": "string"}
        return {"anyOf": [one, {"type": "array", "items": one, "maxItems": _MAX_ORIGINS}]}


@attrs.frozen
class CondaFile:
    """The path of a conda file, or its content as a mapping."""

    def parse(self, node: Node, context: Context, key: str) -> dict[str, object]:
        """Read it."""
        content = node.plain() if isinstance(node.value, Mapping) else _conda_file(node, context, key)
        if not isinstance(content, dict) or not isinstance(content.get("dependencies"), list):
            raise WrongError(
                "has no list of `dependencies`", allowed="a conda environment file, or its content"
            )
        return content

    def dump(self, value: Mapping[str, object] | None) -> Mapping[str, object] | None:
        """Write it."""
        return value

    def show(self, value: Mapping[str, object] | None) -> str:
        """Show it."""
        return "" if value is None else "given"

    def schema(self) -> Schema:
        """Describe it."""
        return {"anyOf": [{"type": "string"}, {"type": "object"}]}


@attrs.frozen
class Dockerfile:
    """The path of a Dockerfile, or, where there is more than one line, its text."""

    def parse(self, node: Node, context: Context, key: str) -> str:
        """Read it."""
        if isinstance(node.value, str) and "\n" in node.value:
            text = node.value
        else:
            text = read_text(absolute(PATH.parse(node, context, key), context))
        if not _FROM.search(text):
            raise WrongError("has no FROM", allowed="a Dockerfile, which names an image in FROM")
        return text if "\n" in text else f"{text}\n"

    def dump(self, value: str | None) -> str | None:
        """Write it."""
        return value

    def show(self, value: str | None) -> str:
        """Show it."""
        return "" if value is None else "given"

    def schema(self) -> Schema:
        """Describe it."""
        return {"type": "string"}


def _model(node: Node, context: Context, key: str) -> ModelRef | None:
    if not isinstance(node.value, Mapping):
        node = Node({"path": node}, node.line)
    keys = {"name": MODEL_NAME, "path": PATH, "version": MODEL_VERSION}
    values, clean = _read_keys(node, keys, context, key)
    if "path" not in values:
        if clean:
            raise WrongError("has no `path`", allowed="path, and optionally name and version")
        return None
    path = absolute(values["path"], context)
    if context.check_files and not path.exists():
        raise WrongError(f"does not exist ({path})", allowed="an existing file or folder")
    return ModelRef(values.get("name") or _name_from(path), str(path), values.get("version", "1"))


def _refuse_twin(model: ModelRef, others: Mapping[tuple[str, str], ModelRef]) -> None:
    if (model.name, model.version) in others:
        twin = f"{model.name!r} version {model.version!r}"
        raise WrongError(f"two models are {twin}", allowed="a `name` or `version` of its own for each")


def _conda_file(node: Node, context: Context, key: str) -> Any:
    path = absolute(PATH.parse(node, context, key), context)
    try:
        return read_yaml(read_text(path)).plain()
    except DocumentError as error:
        raise WrongError(
            f"{path.name}:{error.line or 1} {error}", allowed="a conda environment file"
        ) from error


def _name_from(path: Path) -> str:
    stem = path.stem if path.suffix else path.name
    return re.sub(r"[^a-zA-Z0-9\-._]", "-", stem).lstrip("-._")[:255] or "model"


def _accelerator(node: Node, context: Context, key: str) -> AcceleratorRequest:
    if not isinstance(node.value, Mapping):
        node = Node({"kind": node}, node.line)
    values, _ = _read_keys(node, _ACCELERATOR, context, key)
    if "memory" in values:
        values["memory_bytes"] = values.pop("memory")
    return AcceleratorRequest(**values)


def _read_keys(
    node: Node, keys: Mapping[str, Text | Integer | Number], context: Context, key: str
) -> tuple[dict[str, Any], bool]:
    """Read a small mapping; the second answer is whether nothing in it was wrong."""
    assert isinstance(node.value, Mapping)  # noqa: S101  both callers made it one
    values, clean = {}, True
    for name, value in node.value.items():
        try:
            kind = _known(name, keys)
            if value.value is not None:
                values[name] = kind.parse(value, context, f"{key}.{name}")
        except WrongError as error:
            clean = False
            context.wrong(error, value, f"{key}.{name}")
    return values, clean


def _known(name: str, keys: Mapping[str, _K]) -> _K:
    if name not in keys:
        raise WrongError("unknown key", allowed=", ".join(keys), suggestion=nearest(name, keys))
    return keys[name]


def _closed(properties: Schema, required: list[str] | None = None) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def _shown(request: AcceleratorRequest) -> str:
    model = f" {request.model}" if request.model else ""
    count = f" x{request.count}" if request.count != 1 else ""
    memory = f" ({format_memory(request.memory_bytes)})" if request.memory_bytes else ""
    return f"{request.kind}{model}{count}{memory}"
