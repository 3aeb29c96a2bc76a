"""Settle a linked prefix: nothing in it of this machine, of this moment, or of who fetched it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from modelyard.environments.checking import check, check_contents
from modelyard.environments.conda.credentials import Credential
from modelyard.environments.conda.locks import CondaLock
from modelyard.environments.prefixes import leads_out

META = PurePosixPath("conda-meta")
MARK = META / "history"
"""The file by which conda knows an environment; it is left empty, for it would tell times and commands."""
_OF_THIS_MACHINE = (
    "extracted_package_dir",
    "package_tarball_full_path",
    "link",
    "timestamp",
    "requested_spec",
)
_BYTE_CODE = "__pycache__"
_SHADOWED = "__clobbers__"
"""Where rattler puts a file that another package has too; which folders are there depends on who came first."""
_SCRIPTS = ("post-link", "pre-link")


def settle(tree: Path, lock: CondaLock) -> None:
    """Make the prefix's records those of the lock; drop what is shadowed, and byte code bound to times of files."""
    (tree / "CACHEDIR.TAG").unlink(missing_ok=True)
    for folder in [*tree.rglob(_BYTE_CODE), tree / _SHADOWED]:
        shutil.rmtree(folder, ignore_errors=True)
    (tree / META).mkdir(exist_ok=True)
    (tree / MARK).write_bytes(b"")
    for package in lock.packages:
        record = tree / META / f"{package.name}-{package.version}-{package.build}.json"
        facts = json.loads(record.read_text(encoding="utf-8"))
        kept = {name: value for name, value in facts.items() if name not in _OF_THIS_MACHINE}
        kept |= {"url": package.url, "channel": package.channel, "requested_specs": []}
        _only_what_is_there(kept)
        record.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def scripts_left_out(tree: Path) -> list[str]:
    """Name the scripts that packages wanted to have run when they are linked."""
    return sorted(
        str(found.relative_to(tree)) for kind in _SCRIPTS for found in (tree / "bin").glob(f".*-{kind}.sh")
    )


def shadowed(tree: Path) -> list[str]:
    """Name the files, below the package that brings each, which another package has in their place."""
    held = tree / _SHADOWED
    return sorted(str(one.relative_to(held)) for one in held.rglob("*") if one.is_symlink() or one.is_file())


def check_settled(
    tree: Path, prefix: PurePosixPath, *, built_in: Path, credentials: Iterable[Credential]
) -> None:
    """Raise `SystemError_` for what names this machine, leads out of the prefix, or gives a secret away."""
    check_contents(tree, lambda at, target: leads_out(at, target, prefix), built_in=built_in)
    # As they stand in addresses: a short password may well be a word that packages have.
    written = [
        part.encode()
        for held in credentials
        for secret in held.secrets()
        for part in (f":{secret}@", f"/t/{secret}/")
    ]
    for record in (tree / META).iterdir():
        content = record.read_bytes()
        for one in written:
            check(one not in content, META / record.name, "holds a channel's credentials")


def _only_what_is_there(facts: dict[str, object]) -> None:
    """Take what was dropped out of the lists of a record."""
    files = facts.get("files")
    if isinstance(files, list):
        facts["files"] = [one for one in files if not _dropped(one)]
    data = facts.get("paths_data")
    if isinstance(data, dict):
        data["paths"] = [one for one in data["paths"] if not _dropped(one["_path"])]


def _dropped(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return _BYTE_CODE in parts or parts[:1] == (_SHADOWED,)
