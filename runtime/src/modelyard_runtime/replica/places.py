"""Where a replica in a container writes: its run folder, and below it what a user without a home needs.

Everything else there may be read-only, and the user may be a number that no passwd knows.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from modelyard_runtime.causes import CauseClass
from modelyard_runtime.contract import CONTRACT_FILE, StartContract, write_contract

LONGEST_FOLDER = 80
"""Socket paths have 104 characters at most (macOS); the sockets' names and Envoy's suffixes come on top."""
_PRIVATE = 0o700
_SYSTEMS_OWN = "/tmp"  # noqa: S108  # looked at, never written to by a name that could be guessed


class CannotBegin(Exception):
    """No replica can live in this place; `str()` names what is wrong and says what to do."""

    def __init__(self, message: str, kind: CauseClass = CauseClass.CANNOT_START) -> None:
        super().__init__(message)
        self.kind = kind


def settle(contract: StartContract, environ: MutableMapping[str, str]) -> Path:
    """Make the run folder ours and point HOME, TMPDIR and USER at something that works.

    Returns the contract's file, written there for the server. Raises `CannotBegin`.
    """
    folder = Path(contract.run_dir)
    if not folder.is_absolute() or len(contract.run_dir) > LONGEST_FOLDER:
        raise CannotBegin(
            f"run_dir {contract.run_dir}: it must be absolute and {LONGEST_FOLDER} characters long at most, "
            "because sockets lie in it"
        )
    start_file = folder / CONTRACT_FILE
    try:
        _take(folder)
        write_contract(contract, start_file)
        environ.update(_own(environ, folder))
    except OSError as error:
        raise CannotBegin(
            f"run_dir {folder} cannot be written to by user {os.getuid()}: {error.strerror}; "
            "mount a folder there that this user may write to, as a tmpfs"
        ) from error
    return start_file


def _take(folder: Path) -> None:
    folder.mkdir(_PRIVATE, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid == os.getuid() and found.st_mode & 0o077:
        folder.chmod(_PRIVATE)


def _own(environ: MutableMapping[str, str], folder: Path) -> dict[str, str]:
    changed = {}
    if not _writable(environ.get("HOME", "")):
        changed["HOME"] = _made(folder / "home")
    if not _writable(environ.get("TMPDIR", _SYSTEMS_OWN)):
        changed["TMPDIR"] = _made(folder / "tmp")
    if "USER" not in environ and not _has_a_name():
        changed["USER"] = str(os.getuid())  # getpass.getuser() fails where neither says anything
    return changed


def _writable(folder: str) -> bool:
    return Path(folder).is_absolute() and Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _made(folder: Path) -> str:
    folder.mkdir(_PRIVATE, exist_ok=True)
    return str(folder)


def _has_a_name() -> bool:
    import pwd

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True
