"""Documents as trees of nodes that know their line, from YAML text or from plain mappings.

YAML is read event by event with bounds on size, depth and aliases; no tag can construct an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import yaml

from modelyard.spec.findings import WrongError

MAX_DEPTH = 30
MAX_NODES = 50_000
"""Counted with every alias written out, which ends chains of aliases that multiply."""

Scalar = str | int | float | bool | None
_CORE_TAG = "tag:yaml.org,2002:"
_KEPT_AS_TEXT = ("str", "timestamp", "value", "merge", "binary")


@attrs.frozen
class Node:
    """A value and its line (None without a file). `text` is a scalar as the file spells it."""

    value: Scalar | Mapping[str, Node] | tuple[Node, ...]
    line: int | None = None
    text: str | None = None
    size: int = 1

    def plain(self) -> Any:
        """Give the value without lines."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


class DocumentError(WrongError):
    """The document as a whole cannot be read; `line` says where."""

    def __init__(self, message: str, line: int | None, *, key: str = "", allowed: str = "") -> None:
        super().__init__(message, allowed=allowed)
        self.line, self.key = line, key


def node_of(raw: object, *, depth: int = 0) -> Node:
    """Make nodes of plain values (JSON). Raises `DocumentError` for anything JSON has not."""
    if depth > MAX_DEPTH:
        raise DocumentError(f"is nested over {MAX_DEPTH} deep", None)
    if isinstance(raw, Mapping):
        if odd := next((key for key in raw if not isinstance(key, str)), None):
            raise DocumentError(f"the key {odd!r} is no string", None)
        return Node({key: node_of(value, depth=depth + 1) for key, value in raw.items()})
    if isinstance(raw, list | tuple):
        return Node(tuple(node_of(value, depth=depth + 1) for value in raw))
    if raw is None or isinstance(raw, str | int | float | bool):
        return Node(raw)
    raise DocumentError(f"a value of type {type(raw).__name__} cannot be read", None)


def read_yaml(text: str) -> Node:
    """Read one YAML document. Raises `DocumentError` with the line of the first thing that is wrong."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise DocumentError(f"is not valid YAML: {error.problem or error.context}", line) from error
    except yaml.YAMLError as error:
        raise DocumentError(f"is not valid YAML: {str(error).splitlines()[0]}", None) from error
    return builder.root if builder.root is not None else Node({}, 1)


@attrs.define
class _Open:
    """A mapping or list whose end was not seen yet."""

    line: int
    anchor: str | None
    items: list[Node] | None
    pairs: dict[str, Node] = attrs.field(factory=dict)
    key: str | None = None

    def add(self, node: Node) -> None:
        if self.items is not None:
            self.items.append(node)
        elif self.key is None:
            self.key = self._key_of(node)
        else:
            self.pairs[self.key] = node
            self.key = None

    def _key_of(self, node: Node) -> str:
        if node.text is None:
            raise DocumentError("a key must be plain text", node.line)
        if node.text in self.pairs:
            first = self.pairs[node.text].line
            raise DocumentError(f"the key stands twice (first near line {first})", node.line, key=node.text)
        return node.text

    def close(self) -> Node:
        if self.items is not None:
            return Node(tuple(self.items), self.line, size=1 + sum(n.size for n in self.items))
        return Node(dict(self.pairs), self.line, size=1 + sum(n.size for n in self.pairs.values()))


@attrs.define
class _Builder:
    """Turns YAML events into nodes; a stack of its own, so depth is bounded by us."""

    root: Node | None = None
    _stack: list[_Open] = attrs.field(factory=list)
    _anchors: dict[str, Node] = attrs.field(factory=dict)
    _count: int = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._done(_scalar(event), event.anchor, cost=1)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            finished = self._stack.pop()
            self._done(finished.close(), finished.anchor, cost=1)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise DocumentError("holds more than one document", _line(event))

    def _open(self, event: Any) -> None:
        line = _line(event)
        _refuse_tag(event.tag, line)
        if len(self._stack) >= MAX_DEPTH:
            raise DocumentError(f"is nested over {MAX_DEPTH} deep", line)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        self._stack.append(_Open(line, event.anchor, [] if is_list else None))

    def _alias(self, event: Any) -> None:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise DocumentError(f"the alias *{event.anchor} has no finished anchor before it", _line(event))
        self._done(node, None, cost=node.size)

    def _done(self, node: Node, anchor: str | None, *, cost: int) -> None:
        self._count += cost
        if self._count > MAX_NODES:
            raise DocumentError(f"holds over {MAX_NODES} values, aliases written out", node.line)
        if anchor:
            self._anchors[anchor] = node
        if self._stack:
            self._stack[-1].add(node)
        else:
            self.root = node


def _scalar(event: Any) -> Node:
    line = _line(event)
    tag = event.tag
    if tag is None or tag == "!":
        tag = _RESOLVER.resolve(  # type: ignore[no-untyped-call]  # absent from the stubs
            yaml.ScalarNode, event.value, event.implicit
        )
    else:
        _refuse_tag(tag, line)
    kind = tag.removeprefix(_CORE_TAG)
    if kind in _KEPT_AS_TEXT:
        return Node(event.value, line, event.value)
    try:
        value = _CONSTRUCTOR.construct_object(yaml.ScalarNode(tag, event.value))
    except (yaml.YAMLError, ValueError, KeyError, IndexError) as error:
        raise DocumentError(f"{event.value[:50]!r} is not valid YAML for a {kind}", line) from error
    return Node(value, line, event.value)


def _refuse_tag(tag: str | None, line: int) -> None:
    if tag not in (
        None,
        "!",
        *(f"{_CORE_TAG}{k}" for k in ("str", "int", "float", "bool", "null", "map", "seq")),
    ):
        raise DocumentError(f"the tag {tag} is not supported", line, allowed="plain YAML without tags")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


_RESOLVER = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
