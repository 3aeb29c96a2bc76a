"""What went wrong, in the words of the error tree."""

from __future__ import annotations

import re
import shutil
from http import HTTPStatus
from pathlib import Path

from modelyard.api import ModelyardError, SystemError_, Unavailable, UserError
from modelyard.containers.values import Absent, NameTaken

_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_START = "start it (`sudo systemctl start docker`), or name another daemon in DOCKER_HOST"
_JOIN = "add yourself to its group (`sudo usermod -aG docker $USER`), log in again, then `engine down` and `engine up`"
_INSTALL = "install Docker, or choose `target: process`"
_MIB = 1024 * 1024


def unreachable(address: str, error: OSError) -> ModelyardError:
    """Say why nobody answers at the daemon's address."""
    if isinstance(error, PermissionError):
        return UserError("this user may not use Docker's socket", place=address, remedy=_JOIN)
    if isinstance(error, FileNotFoundError):
        return Unavailable("no Docker daemon has its socket here", place=address, remedy=_INSTALL)
    return Unavailable(f"the Docker daemon does not answer: {error}", place=address, remedy=_START)


def slow(address: str, what: str, seconds: float) -> Unavailable:
    """Say that the daemon took too long."""
    return Unavailable(
        f"the Docker daemon did not {what} within {seconds:g} s",
        place=address,
        remedy="look at its log (`journalctl -u docker`) and at the load of this machine",
    )


def too_old(address: str, version: str, least: str) -> UserError:
    """Say that a daemon cannot do what is needed."""
    return UserError(
        f"Docker's API {version} is too old: {least} is needed", place=address, remedy="update Docker"
    )


def refused(address: str, status: int, words: str, *, root: str = "") -> ModelyardError:
    """Turn an answer that is no success into what it means; `root` is where the daemon keeps its files."""
    words = " ".join(words.split()) or f"status {status}"
    if _FULL.search(words):
        return full(address, words, root=root)
    if status == HTTPStatus.NOT_FOUND:
        return Absent(words, place=address, remedy="deploy again")
    if status == HTTPStatus.CONFLICT and "already in use by container" in words:
        return NameTaken(words, place=address, remedy="deploy again")
    if status == HTTPStatus.BAD_REQUEST:
        return UserError(
            f"Docker refused: {words}", place=address, remedy="mend what it names, then deploy again"
        )
    return SystemError_(f"Docker failed: {words}", place=address, remedy="look at the daemon's log")


def full(address: str, words: str, *, root: str) -> SystemError_:
    """Say that the daemon's disk is full, with what is free where that can be seen."""
    free = _free_mib(root)
    numbers = f"; {free} MiB are free in {root}" if free is not None else ""
    return SystemError_(
        f"Docker's disk is full: {words}{numbers}",
        place=address,
        remedy="free some space there (`docker system prune`), then deploy again",
    )


def _free_mib(root: str) -> int | None:
    try:
        return shutil.disk_usage(Path(root)).free // _MIB if root else None
    except OSError:
        return None
