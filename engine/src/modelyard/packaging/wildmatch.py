"""Git's ignore patterns as regular expressions that match one path exactly. Pure.

A path is written as git sees it, byte by byte (UTF-8 read as Latin-1), folders with a NUL at the end,
which no name can hold. A pattern matches the entry it names, never what lies below it: who walks prunes
excluded folders.
"""

from __future__ import annotations

import re

import attrs

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x01-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-.0-~",
    "lower": "a-z",
    "print": " -.0-~",
    "punct": "!-.:-@\\[-`{-~",
    "space": " \\t\\n\\r\\f\\v",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
FOLDER_MARK = "\0"
_IN_NAME = r"[^/\x00]"
_ANY = r"[^\x00]"


class _NeverMatchesError(ValueError):
    """Git accepts the pattern and it matches nothing."""


@attrs.frozen
class Rule:
    """One pattern line: `regex` matches what it names, `excludes` says whether it leaves that out."""

    regex: str
    excludes: bool


def rule_of(line: str) -> Rule | None:
    """Translate one line of an ignore file; None for comments, blanks and what can never match."""
    pattern = _without_trailing_spaces(line)
    if not pattern or pattern.startswith("#"):
        return None
    excludes = not pattern.startswith("!")
    pattern = pattern.removeprefix("!")
    only_folders = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    anywhere = "/" not in pattern
    try:
        body = _translate(pattern.removeprefix("/"))
    except _NeverMatchesError:
        return None
    start = f"^(?:{_ANY}*/)?" if anywhere else "^"
    end = r"\x00" if only_folders else r"\x00?"
    return Rule(f"{start}{body}{end}$", excludes)


def _without_trailing_spaces(line: str) -> str:
    end = len(line)
    while end and line[end - 1] == " " and not _is_escaped(line, end - 1):
        end -= 1
    return line[:end]


def _is_escaped(line: str, index: int) -> bool:
    backslashes = 0
    while index > backslashes and line[index - backslashes - 1] == "\\":
        backslashes += 1
    return backslashes % 2 == 1


def _translate(pattern: str) -> str:
    parts: list[str] = []
    index = 0
    while index < len(pattern):
        piece, index = _piece(pattern, index)
        parts.append(piece)
    return "".join(parts)


def _piece(pattern: str, index: int) -> tuple[str, int]:
    character = pattern[index]
    if character == "*":
        return _stars(pattern, index)
    if character == "?":
        return _IN_NAME, index + 1
    if character == "[":
        return _bracket(pattern, index + 1)
    if character == "\\":
        return re.escape(_at(pattern, index + 1)), index + 2
    return re.escape(character), index + 1


def _stars(pattern: str, start: int) -> tuple[str, int]:
    end = start
    while end < len(pattern) and pattern[end] == "*":
        end += 1
    rest = pattern[end:]
    whole_part = (start == 0 or pattern[start - 1] == "/") and (not rest or rest.startswith(("/", "\\/")))
    if end - start == 1 or not whole_part:
        return f"{_IN_NAME}*", end
    if rest.startswith("/"):
        return f"(?:{_ANY}*/)?", end + 1  # `**/` stands for any number of folders, none included
    return f"{_ANY}*", end


def _bracket(pattern: str, index: int) -> tuple[str, int]:
    negated = _at(pattern, index) in "!^"
    index += negated
    parts: list[str] = []
    previous, first = "", True
    while first or _at(pattern, index) != "]":
        first = False
        part, previous, index = _member(pattern, index, previous)
        parts.append(part)
    members = "".join(parts)
    if negated:
        return rf"[^/\x00{members}]", index + 1
    return (f"[{members}]" if members else r"[^\x00-\xff]"), index + 1


def _member(pattern: str, index: int, previous: str) -> tuple[str, str, int]:
    """Read one member: its class text, the character a following `-` starts from, the next index."""
    character = _at(pattern, index)
    if character == "\\":
        literal = _at(pattern, index + 1)
        return _span(literal, literal), literal, index + 2
    if character == "-" and previous and _at(pattern, index + 1) != "]":
        last = _at(pattern, index + 1)
        index += 2
        if last == "\\":
            last = _at(pattern, index)
            index += 1
        return _span(previous, last), "", index
    if character == "[" and pattern[index + 1 : index + 2] == ":":
        named = _named_class(pattern, index)
        if named is not None:
            return named
    return _span(character, character), character, index + 1


def _named_class(pattern: str, index: int) -> tuple[str, str, int] | None:
    end = pattern.find("]", index + 2)
    if end < 0:
        raise _NeverMatchesError(pattern)
    name = pattern[index + 2 : end]
    if not name.endswith(":"):
        return None  # not `[:name:]` after all: an ordinary `[`
    if name[:-1] not in _CLASSES:
        raise _NeverMatchesError(pattern)
    return _CLASSES[name[:-1]], "", end + 1


def _span(first: str, last: str) -> str:
    """Write a range without the slash, which no bracket matches, as class text; an empty range is empty text."""
    slash = ord("/")
    low, high = ord(first), ord(last)
    pieces = [(low, min(high, slash - 1)), (max(low, slash + 1), high)]
    return "".join(f"\\x{a:02x}-\\x{b:02x}" for a, b in pieces if a <= b)


def _at(pattern: str, index: int) -> str:
    if index >= len(pattern):
        raise _NeverMatchesError(pattern)
    return pattern[index]
