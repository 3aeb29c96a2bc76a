"""What installed packages say of themselves: the files that they brought, the Python that they require."""

from __future__ import annotations

import base64
import csv
import email.parser
import hashlib
import io
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from modelyard.environments.rewriting import rewrite

Row = tuple[str, str, str]
"""Path relative to the folder of packages, `sha256=...` in base64, bytes; the latter two may be empty."""


def overlapping(site: Path) -> list[str]:
    """Name, in order, the packages that bring a file which another brings with other content."""
    return overlaps({_package(record): _read(record) for record in _records(site)})


def overlaps(brought: Mapping[str, Iterable[Row]]) -> list[str]:
    """Find packages that share a path but not its content; an unhashed file is taken to differ."""
    owners: dict[str, dict[str, str]] = {}
    for name, rows in brought.items():
        for path, digest, _ in rows:
            owners.setdefault(path, {})[name] = digest
    shared = (by_name for by_name in owners.values() if len(by_name) > 1)
    differing = (one for one in shared if len(set(one.values())) > 1 or "" in one.values())
    return sorted({name for one in differing for name in one})


def too_new_or_old(site: Path, version: str) -> list[str]:
    """Name the packages that refuse this Python; uv does not ask them where an index does not tell."""
    required = ((info, _requires_python(info)) for info in sorted(site.glob("*.dist-info")))
    return [
        f"{info.name.removesuffix('.dist-info')} requires Python {wanted}"
        for info, wanted in required
        if not wanted.contains(version)
    ]


def write_records(tree: Path, site: PurePosixPath) -> None:
    """Make every RECORD true: what is there, each once, sorted, with its hash and size; byte code is not named."""
    for record in _records(tree / site):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(_true_rows(record, tree, tree / site))
        rewrite(record, text.getvalue().encode())


def _true_rows(record: Path, tree: Path, site: Path) -> list[Row]:
    rows: list[Row] = []
    for path in sorted({row[0] for row in _read(record) if "__pycache__/" not in row[0]}):
        file = os.path.normpath(f"{site}/{path}")
        if file == str(record):
            rows.append((path, "", ""))
        elif file.startswith(f"{tree}/") and (size := _size_bytes(file)) is not None:
            rows.append((path, _digest(file), str(size)))
    return rows


def _size_bytes(file: str) -> int | None:
    """Give the size of a regular file; None = there is none."""
    try:
        facts = os.lstat(file)
    except OSError:
        return None
    return facts.st_size if stat.S_ISREG(facts.st_mode) else None


def _requires_python(info: Path) -> SpecifierSet:
    with (info / "METADATA").open("rb") as file:
        written = email.parser.BytesHeaderParser().parse(file)["Requires-Python"]
    try:
        return SpecifierSet(written or "")
    except InvalidSpecifier:
        return SpecifierSet()  # old packages write what no tool understands, and all tools pass over it


def _records(site: Path) -> list[Path]:
    return sorted(site.glob("*.dist-info/RECORD"))


def _package(record: Path) -> str:
    return canonicalize_name(record.parent.name.partition("-")[0])


def _read(record: Path) -> list[Row]:
    with record.open(encoding="utf-8", newline="") as file:
        return [(row[0], *(*row[1:], "", "")[:2]) for row in csv.reader(file) if row]  # type: ignore[misc]


def _digest(file: str) -> str:
    with open(file, "rb", buffering=0) as opened:  # noqa: PTH123  of thousands, and a Path costs more than the call
        digest = hashlib.file_digest(opened, "sha256").digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
