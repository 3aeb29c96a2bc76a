"""Requirements of a service: a list of PEP 508 lines, or the path of a requirements file."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from packaging.requirements import InvalidRequirement, Requirement

from modelyard.spec.documents import Node
from modelyard.spec.files import read_text
from modelyard.spec.findings import WrongError
from modelyard.spec.kinds import Context, Schema, text_of

_MAX_LINES = 2_000
_MAX_INCLUDES = 10
_ALLOWED = "PEP 508 names and versions, as scikit-learn==1.7.2"
_CREDENTIALS = re.compile(r"://[^/\s]*@")
_INCLUDES = ("-r", "--requirement")


@attrs.frozen
class Requirements:
    """A list of requirements, or the path of a requirements file."""

    def parse(self, node: Node, context: Context, key: str) -> tuple[str, ...]:
        """Read it, every wrong line a finding of its own."""
        if isinstance(node.value, str):
            return tuple(_read_file(_Source(context, key), context.base, node.value, node))
        if not isinstance(node.value, tuple):
            raise WrongError("must be a list, or the path of a requirements file", allowed=_ALLOWED)
        if len(node.value) > _MAX_LINES:
            raise WrongError(f"has {len(node.value)} entries", allowed=f"at most {_MAX_LINES}")
        found = []
        for index, item in enumerate(node.value):
            try:
                found.append(check_requirement(text_of(item)))
            except WrongError as error:
                context.wrong(error, item, f"{key}[{index}]")
        return tuple(found)

    def dump(self, value: tuple[str, ...]) -> list[str]:
        """Write it."""
        return list(value)

    def show(self, value: tuple[str, ...]) -> str:
        """Show it."""
        return ", ".join(value)

    def schema(self) -> Schema:
        """Describe it."""
        listed = {"type": "array", "items": {"type": "string"}, "maxItems": _MAX_LINES}
        return {"anyOf": [listed, {"type": "string"}]}


@attrs.frozen
class _Source:
    """Where findings go, and which files are being read already."""

    context: Context
    key: str
    reading: tuple[Path, ...] = ()


def check_requirement(line: str) -> str:
    """Check one requirement. Raises `WrongError` that says why it cannot be taken."""
    line = line.strip()
    if line.startswith("-"):
        raise WrongError(
            "options are not supported: what is installed must follow from names", allowed=_ALLOWED
        )
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        if "://" in line:
            raise _no_url(line) from error
        raise WrongError(f"is no requirement: {str(error).splitlines()[0]}", allowed=_ALLOWED) from error
    if requirement.url:
        raise _no_url(line)
    return line


def _no_url(line: str) -> WrongError:
    if _CREDENTIALS.search(line):
        return WrongError(
            "has credentials in an address, which would be stored and shown",
            allowed=f"{_ALLOWED}; name the index in UV_INDEX, with UV_INDEX_<NAME>_USERNAME and"
            " UV_INDEX_<NAME>_PASSWORD",
        )
    return WrongError("URLs are not supported: they cannot be locked by version", allowed=_ALLOWED)


def _read_file(source: _Source, base: Path, name: str, node: Node) -> list[str]:
    try:
        path = _inside(source, base, name)
        text = read_text(path)
    except WrongError as error:
        source.context.wrong(error, node, source.key)
        return []
    within = attrs.evolve(source, reading=(*source.reading, path))
    return [found for number, line in _lines(text) for found in _taken(within, base, path, line, number)]


def _taken(source: _Source, base: Path, path: Path, line: str, number: int) -> list[str]:
    node = Node(line, number, line)
    option, _, argument = line.replace("=", " ", 1).partition(" ") if line.startswith("-") else (line, "", "")
    if option in _INCLUDES and argument.strip():
        relative = path.parent / argument.strip()
        return _read_file(source, base, str(relative), node)
    try:
        return [check_requirement(line)]
    except WrongError as error:
        source.context.wrong(error, node, source.key, file=path.name)
        return []


def _inside(source: _Source, base: Path, name: str) -> Path:
    path = (base / name).resolve()
    if not source.reading:
        return path
    if not path.is_relative_to(source.reading[0].parent):
        raise WrongError("includes a file outside the folder", allowed="-r with a file of the same folder")
    if path in source.reading or len(source.reading) > _MAX_INCLUDES:
        raise WrongError("includes itself", allowed=f"at most {_MAX_INCLUDES} levels of -r")
    return path


def _lines(text: str) -> list[tuple[int, str]]:
    """Give each line that says something with its number; a line that ends in a backslash goes on in the next."""
    found: list[tuple[int, str]] = []
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        start = start if pending else number
        if raw.endswith("\\"):
            pending += raw[:-1]
            continue
        line = _without_comment(pending + raw)
        pending = ""
        if line:
            found.append((start, line))
    return [*found, (start, _without_comment(pending))] if _without_comment(pending) else found


def _without_comment(line: str) -> str:
    stripped = line.strip()
    return "" if stripped.startswith("#") else stripped.partition(" #")[0].strip()
