"""Checks: what `engine doctor` and `engine plan` ask of plugins."""

from __future__ import annotations

import enum
from typing import Protocol, runtime_checkable

import attrs

from modelyard.api.plugins import Maturity


class Severity(enum.Enum):
    """OK is good news, INFO an absence that harms nothing, WARNING a risk, ERROR a blocker."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@attrs.frozen
class Finding:
    """One thing a check saw of `subject`: `message` says what is so, `fix` how to mend it."""

    check: str
    subject: str
    severity: Severity
    message: str
    fix: str = ""


@runtime_checkable
class Check(Protocol):
    """Looks at one aspect of the machine; changes nothing; synchronous, under 5 s."""

    @property
    def name(self) -> str:
        """The record's name, unique among checks."""
        ...

    @property
    def maturity(self) -> Maturity:
        """How far this check may be relied on."""
        ...

    def run(self) -> tuple[Finding, ...]:
        """Look now. Never raises for what it is meant to find; always gives at least one finding."""
        ...
