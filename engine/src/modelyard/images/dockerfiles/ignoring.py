"""`.dockerignore`: what of a context is left out, as Docker reads it. Pure.

Its patterns begin at the top folder, name what lies below as well, and the last one that matches decides;
`!` takes back in, even out of a folder that is out. They become anchored patterns of the ignore files that
`packaging` matches in linear time. `.git` is always left out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

import attrs

from modelyard.api import SnapshotLimits
from modelyard.packaging.ignoring import ALWAYS_LEFT_OUT, IgnoreRules, compile_rules

FILE = ".dockerignore"


@attrs.frozen
class ContextRules:
    """What a context's ignore file leaves out."""

    _rules: IgnoreRules = attrs.field(factory=IgnoreRules)
    _takes_back: bool = False

    def leave_out(self, path: str, *, is_folder: bool) -> bool:
        """Decide on one entry; a folder that is out is looked through while something in it may be in."""
        if is_folder and self._takes_back and path.rpartition("/")[2] != ALWAYS_LEFT_OUT:
            return False
        return self._rules.leave_out(path, is_folder=is_folder)


def compile_context_rules(content: bytes, limits: SnapshotLimits) -> ContextRules:
    """Read the text of a `.dockerignore`. Raises `SnapshotError` when it is larger than allowed."""
    lines = list(_translated(content.removeprefix(b"\xef\xbb\xbf").decode("latin-1")))
    # every pattern is written twice: for what it names and for what lies below
    doubled = attrs.evolve(
        limits, max_patterns=2 * limits.max_patterns, max_pattern_length=limits.max_pattern_length + 4
    )
    rules = compile_rules(FILE, "\n".join(lines).encode("latin-1"), doubled)
    return ContextRules(rules, any(line.startswith("!") for line in lines))


def _translated(text: str) -> Iterator[str]:
    for raw in text.split("\n"):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        sign, pattern = ("!", line[1:].strip()) if line.startswith("!") else ("", line)
        name = posixpath.normpath(f"/{pattern}").lstrip("/") if pattern else ""
        if name:
            yield f"{sign}/{name}"
            yield f"{sign}/{name}/**"
