"""Kinds of values: how each is read from a node, bounded, written back, shown and put in the schema.

Reading raises `WrongError`; whoever calls knows the key and the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs

from modelyard.spec.documents import Node
from modelyard.spec.findings import Report, WrongError
from modelyard.spec.quantities import QuantityError

Schema = dict[str, Any]


@attrs.frozen
class Context:
    """What reading needs to know: where relative paths start, where findings go, whether files must exist."""

    base: Path
    report: Report
    check_files: bool = True

    def wrong(self, error: WrongError, node: Node, key: str, *, file: str = "") -> None:
        """Keep one finding and read on."""
        value = node.text if node.text is not None else node.plain()
        self.report.add(error, key=key, value=value, line=node.line, file=file)


class Kind(Protocol):
    """One kind of value."""

    def parse(self, node: Node, context: Context, key: str) -> Any:
        """Read a value that is not null. Raises `WrongError`."""
        ...

    def dump(self, value: Any) -> Any:
        """Write a value so that `parse` reads the same, as JSON."""
        ...

    def show(self, value: Any) -> str:
        """Write a value for people."""
        ...

    def schema(self) -> Schema:
        """Describe what `parse` takes, as JSON Schema."""
        ...


@attrs.frozen
class Text:
    """A string. Numbers of a YAML file are taken as they are spelt (`3.10`), truth values are not."""

    pattern: str = ""
    allowed: str = "text"
    shortest: int = 0
    longest: int = 4096

    def parse(self, node: Node, context: Context, key: str) -> str:  # noqa: ARG002  the Protocol's signature
        """Read it."""
        text = text_of(node)
        if not self.shortest <= len(text) <= self.longest:
            raise WrongError(f"has {len(text)} characters", allowed=self._allowed())
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise WrongError("is not written as it must be", allowed=self._allowed())
        if "\0" in text:
            raise WrongError("holds a NUL character", allowed=self._allowed())
        return text

    def dump(self, value: str) -> str:
        """Write it."""
        return value

    def show(self, value: str) -> str:
        """Show it."""
        return value or ""

    def schema(self) -> Schema:
        """Describe it. Numbers are left to the parser, which takes them as text."""
        schema: Schema = {"type": ["string", "number"], "maxLength": self.longest}
        if self.shortest:
            schema["minLength"] = self.shortest
        if self.pattern:
            schema["pattern"] = f"^(?:{self.pattern})$"
        return schema

    def _allowed(self) -> str:
        return f"{self.allowed}, {self.shortest} to {self.longest} characters"


@attrs.frozen
class Number:
    """A number within bounds, `read` from text with a unit or from a plain number."""

    read: Callable[[object], float]
    write: Callable[[Any], str]
    low: float
    high: float
    examples: str
    raw: Callable[[Any], Any] = attrs.field(default=lambda value: value)

    def parse(self, node: Node, context: Context, key: str) -> float:  # noqa: ARG002  the Protocol's signature
        """Read it."""
        if isinstance(node.value, Mapping | tuple):
            raise WrongError("must be one value", allowed=self._allowed())
        try:
            value = self.read(node.value)
        except QuantityError as error:
            raise WrongError(str(error), allowed=self._allowed()) from error
        if not self.low <= value <= self.high:
            raise WrongError("is out of range", allowed=self._allowed())
        return value

    def dump(self, value: Any) -> Any:
        """Write it."""
        return self.raw(value)

    def show(self, value: Any) -> str:
        """Show it."""
        return "" if value is None else self.write(value)

    def schema(self) -> Schema:
        """Describe it."""
        bounds = f"{self.write(self.low)} to {self.write(self.high)}"
        return {"type": ["string", "number"], "$comment": f"{bounds}, written as {self.examples}"}

    def _allowed(self) -> str:
        return f"{self.write(self.low)} to {self.write(self.high)}, written as {self.examples}"


@attrs.frozen
class Integer:
    """A whole number within bounds."""

    low: int
    high: int

    def parse(self, node: Node, context: Context, key: str) -> int:  # noqa: ARG002  the Protocol's signature
        """Read it."""
        allowed = f"a whole number from {self.low} to {self.high}"
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongError("is not a whole number", allowed=allowed)
        if not self.low <= value <= self.high:
            raise WrongError("is out of range", allowed=allowed)
        return value

    def dump(self, value: int) -> int:
        """Write it."""
        return value

    def show(self, value: int) -> str:
        """Show it."""
        return str(value)

    def schema(self) -> Schema:
        """Describe it."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@attrs.frozen
class TextMap:
    """A mapping of strings to strings; `private` values (they may be passwords) are never shown."""

    keys: Text = Text(shortest=1, longest=256)
    values: Text = Text()
    private: bool = False

    def parse(self, node: Node, context: Context, key: str) -> dict[str, str]:
        """Read it, every wrong entry a finding of its own."""
        if not isinstance(node.value, Mapping):
            raise WrongError("must be a mapping of names to text", allowed="name: text")
        result = {}
        for name, value in node.value.items():
            try:
                self.keys.parse(Node(name, text=name), context, key)
                result[name] = self.values.parse(value, context, key)
            except WrongError as error:
                context.wrong(error, Node("***", value.line) if self.private else value, f"{key}.{name}")
        return result

    def dump(self, value: Mapping[str, str]) -> dict[str, str]:
        """Write it."""
        return dict(value)

    def show(self, value: Mapping[str, str]) -> str:
        """Show it."""
        return ", ".join(f"{name}={'***' if self.private else text}" for name, text in sorted(value.items()))

    def schema(self) -> Schema:
        """Describe it."""
        names = {key: value for key, value in self.keys.schema().items() if key != "type"}
        return {"type": "object", "propertyNames": names, "additionalProperties": self.values.schema()}


@attrs.frozen
class TextList:
    """A list of strings; with `unique`, a set of them."""

    items: Text = Text(shortest=1)
    longest: int = 1_000

    def parse(self, node: Node, context: Context, key: str) -> tuple[str, ...]:
        """Read it, every wrong entry a finding of its own."""
        if not isinstance(node.value, tuple):
            raise WrongError("must be a list", allowed="a list of text")
        if len(node.value) > self.longest:
            raise WrongError(f"has {len(node.value)} entries", allowed=f"at most {self.longest}")
        result = []
        for index, item in enumerate(node.value):
            try:
                result.append(self.items.parse(item, context, key))
            except WrongError as error:
                context.wrong(error, item, f"{key}[{index}]")
        return tuple(result)

    def dump(self, value: tuple[str, ...] | frozenset[str]) -> list[str]:
        """Write it."""
        return list(value) if isinstance(value, tuple) else sorted(value)

    def show(self, value: tuple[str, ...] | frozenset[str]) -> str:
        """Show it."""
        return ", ".join(self.dump(value))

    def schema(self) -> Schema:
        """Describe it."""
        return {"type": "array", "items": self.items.schema(), "maxItems": self.longest}


def text_of(node: Node) -> str:
    """Take a node as text, or say why it is none."""
    value = node.value
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        spelt = node.text if node.text is not None else str(value).lower()
        raise WrongError(
            f"{spelt!r} is not text but {_meaning(value)}", allowed=f'text; write "{spelt}" in quotes'
        )
    if isinstance(value, int | float) and node.text is not None:
        return node.text
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        raise WrongError("is a number, whose spelling is lost", allowed="text in quotes")
    raise WrongError("must be text", allowed="one text value")


def _meaning(value: bool | None) -> str:  # noqa: FBT001  it is the value itself
    return "empty (null)" if value is None else "a truth value in YAML"
