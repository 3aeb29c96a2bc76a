"""Kinds that are places on disk: paths, relative to the file that names them, absolute once they are read."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from modelyard.spec.documents import Node
from modelyard.spec.findings import WrongError
from modelyard.spec.kinds import Context, Schema, Text

PATH = Text(allowed="a path", shortest=1)
MOST_PATHS = 100


def absolute(text: str, context: Context) -> Path:
    """Make a path whole; `~` is the user's folder."""
    return Path(os.path.normpath(context.base / Path(text).expanduser()))


@attrs.frozen
class AnyPath:
    """A path; whoever reads what is there says what is wrong with it."""

    def parse(self, node: Node, context: Context, key: str) -> Path:
        """Read it."""
        return absolute(PATH.parse(node, context, key), context)

    def dump(self, value: Path) -> str:
        """Write it."""
        return str(value)

    def show(self, value: Path | None) -> str:
        """Show it."""
        return str(value or "")

    def schema(self) -> Schema:
        """Describe it."""
        return {"type": "string", "minLength": 1}


@attrs.frozen
class AnyPaths:
    """A list of paths."""

    def parse(self, node: Node, context: Context, key: str) -> tuple[Path, ...]:
        """Read it, every wrong entry a finding of its own."""
        if not isinstance(node.value, tuple) or len(node.value) > MOST_PATHS:
            raise WrongError("must be a list", allowed=f"a list of at most {MOST_PATHS} paths")
        found = []
        for index, item in enumerate(node.value):
            try:
                found.append(AnyPath().parse(item, context, key))
            except WrongError as error:
                context.wrong(error, item, f"{key}[{index}]")
        return tuple(found)

    def dump(self, value: tuple[Path, ...]) -> list[str]:
        """Write it."""
        return [str(path) for path in value]

    def show(self, value: tuple[Path, ...]) -> str:
        """Show it."""
        return ", ".join(self.dump(value))

    def schema(self) -> Schema:
        """Describe it."""
        return {"type": "array", "items": AnyPath().schema(), "maxItems": MOST_PATHS}
