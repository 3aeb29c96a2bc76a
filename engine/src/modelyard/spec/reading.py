"""Read a tree of nodes by a table of fields: known keys are parsed, unknown ones found out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelyard.spec.documents import Node
from modelyard.spec.fields import Field, sections_of
from modelyard.spec.findings import WrongError, nearest
from modelyard.spec.kinds import Context


def read_fields(root: Node, fields: Iterable[Field], context: Context) -> dict[str, Any]:
    """Give the value of every key the document sets, by dotted key; mistakes go to the report."""
    values: dict[str, Any] = {}
    _read_section(root, sections_of(fields), "", context, values)
    return values


def find(root: Node, key: str) -> Node:
    """Give the node of a dotted key, or the nearest section above it."""
    node = root
    for part in key.split("."):
        if not isinstance(node.value, Mapping) or part not in node.value:
            break
        node = node.value[part]
    return node


def missing(root: Node, fields: Iterable[Field], values: Mapping[str, Any], context: Context) -> None:
    """Report required keys that the document leaves out or null; those set wrongly were reported."""
    for field in fields:
        if field.required and field.key not in values and not _is_set(root, field.key):
            error = WrongError("is missing", allowed=field.description)
            context.report.add(error, key=field.key, value=None, line=find(root, field.key).line)


def build(kinds: Mapping[str, type], values: Mapping[str, Any], fields: Iterable[Field]) -> dict[str, Any]:
    """Make constructor arguments: one value of `kinds` a section, filled from parsed values."""
    arguments: dict[str, dict[str, Any]] = {name: {} for name in kinds}
    top: dict[str, Any] = {}
    for field in fields:
        if field.attribute and field.key in values:
            section, _, name = field.attribute.rpartition(".")
            (arguments[section] if section else top)[name] = values[field.key]
    return {name: kind(**arguments[name]) for name, kind in kinds.items()} | top


def _is_set(root: Node, key: str) -> bool:
    node = root
    for part in key.split("."):
        if not isinstance(node.value, Mapping):
            return node.value is not None  # a section of the wrong shape, reported already
        if part not in node.value:
            return False
        node = node.value[part]
    return node.value is not None


def _read_section(
    node: Node, tree: Mapping[str, Any], prefix: str, context: Context, values: dict[str, Any]
) -> None:
    if not isinstance(node.value, Mapping):
        if node.value is not None:
            error = WrongError("must be a mapping", allowed=", ".join(tree))
            context.wrong(error, node, prefix.removesuffix("."))
        return
    for name, child in node.value.items():
        key = f"{prefix}{name}"
        branch = tree.get(name)
        if branch is None:
            context.wrong(_unknown(name, tree, prefix), child, key)
        elif isinstance(branch, dict):
            _read_section(child, branch, f"{key}.", context, values)
        elif child.value is not None:
            _read_value(child, branch, context, values)


def _read_value(node: Node, field: Field, context: Context, values: dict[str, Any]) -> None:
    try:
        values[field.key] = field.kind.parse(node, context, field.key)
    except WrongError as error:
        context.wrong(error, node, field.key)


def _unknown(name: str, tree: Mapping[str, Any], prefix: str) -> WrongError:
    close = nearest(name, tree)
    return WrongError("unknown key", allowed=", ".join(tree), suggestion=f"{prefix}{close}" if close else "")
