"""A refusal is not an error: it is a plugin's reasoned "no", with numbers and a remedy."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class Refusal:
    """One reason why a request cannot be served as asked.

    `plugin` is who refused, `code` is stable (snake case), `numbers` are the figures that led to it
    with their unit in the key (`free_mib`), `remedy` is one imperative sentence.
    """

    plugin: str
    code: str
    message: str
    remedy: str = ""
    numbers: Mapping[str, float] = attrs.field(factory=dict)
    retryable: bool = False

    def __str__(self) -> str:
        """Message and remedy on one line."""
        return f"{self.message} [{self.plugin}/{self.code}]" + (f"; {self.remedy}" if self.remedy else "")
