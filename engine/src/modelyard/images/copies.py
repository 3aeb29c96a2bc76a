"""Whether lines of a Dockerfile read the folder that is given to the build. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_READS = re.compile(r"^\s*(ONBUILD\s+)?(COPY|ADD)\b|--mount=", re.IGNORECASE | re.MULTILINE)


def copies_files(lines: Iterable[str]) -> bool:
    """Say whether a change of the folder may change what the lines make; rather once too often than too seldom."""
    return any(_READS.search(line) for line in lines)
