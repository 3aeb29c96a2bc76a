"""Findings: every mistake of a file, collected with its place, so that one run shows them all."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

import attrs

from modelyard.api import SpecError

_SHOWN = 200
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")


class WrongError(ValueError):
    """A value cannot be taken; caught by whoever knows its key and line."""

    def __init__(self, message: str, *, allowed: str = "", suggestion: str = "") -> None:
        super().__init__(message)
        self.message, self.allowed, self.suggestion = message, allowed, suggestion


@attrs.define
class Report:
    """Collects findings; `file` is what the reader calls the document."""

    file: str
    findings: list[dict[str, Any]] = attrs.field(factory=list)

    def add(self, error: WrongError, *, key: str, value: object, line: int | None, file: str = "") -> None:
        """Keep one finding."""
        self.findings.append(
            {
                "file": file or self.file,
                "line": line,
                "key": key,
                "value": _shown(value),
                "message": error.message,
                "allowed": error.allowed,
                "suggestion": error.suggestion,
            }
        )

    def raise_if_any(self) -> None:
        """Raise `SpecError` with all findings, in the order of their lines."""
        if self.findings:
            found = sorted(self.findings, key=lambda f: (f["file"] != self.file, f["line"] or 0))
            raise SpecError(found, place=self.file)


def nearest(word: str, known: Iterable[str]) -> str:
    """Give the known word that `word` was probably meant to be, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def _shown(value: object) -> str:
    text = "" if value is None else _CREDENTIALS.sub("***@", str(value))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
