"""Kinds with few values: one of some words, true or false."""

from __future__ import annotations

import attrs

from modelyard.spec.documents import Node
from modelyard.spec.findings import WrongError, nearest
from modelyard.spec.kinds import Context, Schema, text_of


@attrs.frozen
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def parse(self, node: Node, context: Context, key: str) -> str:  # noqa: ARG002  the Protocol's signature
        """Read it."""
        text = text_of(node)
        if text not in self.words:
            raise WrongError(
                f"{text!r} is no choice", allowed=", ".join(self.words), suggestion=nearest(text, self.words)
            )
        return text

    def dump(self, value: str | None) -> str | None:
        """Write it."""
        return value

    def show(self, value: str) -> str:
        """Show it."""
        return value

    def schema(self) -> Schema:
        """Describe it."""
        return {"enum": list(self.words)}


@attrs.frozen
class Flag:
    """True or false."""

    def parse(self, node: Node, context: Context, key: str) -> bool:  # noqa: ARG002  the Protocol's signature
        """Read it."""
        if not isinstance(node.value, bool):
            raise WrongError("is neither true nor false", allowed="true or false")
        return node.value

    def dump(self, value: bool) -> bool:  # noqa: FBT001  it is the value itself
        """Write it."""
        return value

    def show(self, value: bool) -> str:  # noqa: FBT001  it is the value itself
        """Show it."""
        return str(value).lower()

    def schema(self) -> Schema:
        """Describe it."""
        return {"type": "boolean"}
