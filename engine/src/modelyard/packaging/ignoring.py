"""Ignore rules of a project folder: `.amlignore`, else `.gitignore`, of the top folder alone.

The patterns are the user's, so they are matched in linear time (re2) and their number is capped.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pathspec

from modelyard.api import SnapshotError, SnapshotLimits
from modelyard.packaging.wildmatch import FOLDER_MARK, rule_of

IGNORE_FILES = (".amlignore", ".gitignore")
MAX_IGNORE_BYTES = 1_000_000
ALWAYS_LEFT_OUT = ".git"
_RULES_PER_SET = 64  # keeps each automaton far below re2's memory budget, past which it stops matching


class _WholePath(pathspec.RegexPattern):  # type: ignore[misc, unused-ignore]  # untyped in some releases
    """A git pattern that matches the very entry it names."""

    __slots__ = ()

    @classmethod
    def pattern_to_regex(cls, pattern: str) -> tuple[str | None, bool | None]:  # type: ignore[override]
        """Translate one line; (None, None) when it rules nothing."""
        rule = rule_of(pattern)
        return (rule.regex, rule.excludes) if rule else (None, None)


@attrs.frozen
class IgnoreRules:
    """What a folder's ignore file leaves out. The last pattern that matches an entry decides on it."""

    name: str = ""
    _sets: tuple[pathspec.PathSpec[_WholePath], ...] = ()

    def leave_out(self, path: str, *, is_folder: bool) -> bool:
        """Decide on one entry whose parent folders are all in."""
        if path.rpartition("/")[2] == ALWAYS_LEFT_OUT:
            return True
        as_bytes = path.encode().decode("latin-1") + (FOLDER_MARK if is_folder else "")
        for patterns in reversed(self._sets):
            verdict = patterns.check_file(as_bytes).include
            if verdict is not None:
                return verdict
        return False


def compile_rules(name: str, content: bytes, limits: SnapshotLimits) -> IgnoreRules:
    """Read the text of an ignore file. Raises `SnapshotError` when it is larger than allowed."""
    lines = content.removeprefix(b"\xef\xbb\xbf").decode("latin-1").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    ruling = [line for line in lines if line and not line.startswith("#")]
    if len(ruling) > limits.max_patterns:
        raise SnapshotError(
            f"the ignore file has {len(ruling)} patterns; {limits.max_patterns} are allowed",
            place=name,
            remedy="join patterns, or raise snapshot.max_patterns in settings.yaml",
        )
    if longest := max(ruling, key=len, default=""):
        _check_length(name, lines.index(longest) + 1, len(longest), limits)
    return IgnoreRules(name, tuple(_sets_of(ruling)))


def _check_length(name: str, line: int, length: int, limits: SnapshotLimits) -> None:
    if length > limits.max_pattern_length:
        raise SnapshotError(
            f"a pattern has {length} characters; {limits.max_pattern_length} are allowed",
            place=f"{name}:{line}",
            remedy="shorten it",
        )


def _sets_of(lines: Sequence[str]) -> list[pathspec.PathSpec[_WholePath]]:
    return [
        pathspec.PathSpec.from_lines(_WholePath, lines[start : start + _RULES_PER_SET], backend="re2")
        for start in range(0, len(lines), _RULES_PER_SET)
    ]
