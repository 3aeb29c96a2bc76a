"""Checks of the machine itself: folders, disk, clock, memory groups."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from modelyard.api import Finding, Severity
from modelyard.processes import Home, free_bytes
from modelyard.processes.home import SOCKET_PATH_LIMIT

MIB = 1024 * 1024
LOW_BYTES = 2_000 * MIB
"""An environment with a large framework, and room for a roll-out beside it."""
FULL_BYTES = 200 * MIB
"""Less than that and the store, the logs and the next environment fight for it."""
RELEASED_AT = 1_767_225_600
"""2026-01-01 UTC: a clock before this release was made is wrong."""
_PRIVATE = 0o700


def home_folders(home: Home) -> tuple[Finding, ...]:
    """Look at who may write the state and who may reach the sockets."""
    return (_writable(home.state), _writable(home.cache), _private(home.run), _short_enough(home))


def disk(home: Home) -> tuple[Finding, ...]:
    """Look at the space for state and for environments."""
    return tuple(_space(what, path) for what, path in (("state", home.state), ("cache", home.cache)))


def space_finding(what: str, path: Path, free: int) -> Finding:
    """Judge free bytes. Pure."""
    subject, mib = f"{what} folder {path}", free // MIB
    if free >= LOW_BYTES:
        return Finding("disk", subject, Severity.OK, f"{mib} MiB free")
    fix = f"free some space there, or set MODELYARD_HOME to a larger disk ({LOW_BYTES // MIB} MiB is enough)"
    severity = Severity.WARNING if free >= FULL_BYTES else Severity.ERROR
    return Finding("disk", subject, severity, f"only {mib} MiB free", fix)


def clock(now: float | None = None) -> tuple[Finding, ...]:
    """Look at the wall clock; TLS, logs and records depend on it."""
    seconds = time.time() if now is None else now
    text = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    if seconds < RELEASED_AT:
        fix = "set the clock, and switch time synchronisation on (`timedatectl set-ntp true`)"
        return (Finding("clock", "wall clock", Severity.ERROR, f"it says {text}: the past", fix),)
    return (Finding("clock", "wall clock", Severity.OK, f"it says {text}"),)


def memory_limits(root: Path = Path("/")) -> tuple[Finding, ...]:
    """Look whether a memory group can be made, so that the kernel enforces limits."""
    subject = "memory limits of replicas"
    group = next((folder for folder in memory_groups(root) if _may_make_in(folder)), None)
    if group is not None:
        return (Finding("memory-limits", subject, Severity.OK, f"enforced by the kernel under {group}"),)
    return (
        Finding(
            "memory-limits",
            subject,
            Severity.INFO,
            "enforced by watching resident memory: no cgroup of this user's can be made",
            "delegate one to have the kernel do it: `systemd-run --user --scope -p Delegate=yes engine up`",
        ),
    )


def memory_groups(root: Path) -> tuple[Path, ...]:
    """List the groups in which replicas' own could be made, as the runtime looks for them."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return ()
    groups = root / "sys/fs/cgroup"
    found: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return (groups / "memory" / path.lstrip("/"),)
        if not controllers:
            own = groups / path.lstrip("/")
            # Version 2 gives a group's children the controllers that the group itself hands down.
            found = [one for one in (own.parent, own) if "memory" in _words(one / "cgroup.subtree_control")]
    return tuple(found)


def _may_make_in(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []


def _space(what: str, path: Path) -> Finding:
    try:
        return space_finding(what, path, free_bytes(path))
    except OSError as error:
        fix = "mount it, or set MODELYARD_HOME"
        return Finding(
            "disk", f"{what} folder {path}", Severity.ERROR, f"not readable: {error.strerror}", fix
        )


def _writable(folder: Path) -> Finding:
    existing = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        word = "writable" if existing == folder else f"can be made in {existing}"
        return Finding("home", str(folder), Severity.OK, word)
    fix = f"`chown {os.getuid()} {existing}`, or set MODELYARD_HOME to a folder of your own"
    return Finding("home", str(folder), Severity.ERROR, f"{existing} is not a folder you can write", fix)


def _private(folder: Path) -> Finding:
    try:
        facts = folder.lstat()
    except OSError:
        return Finding("home", str(folder), Severity.OK, "is made private with the first start")
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        fix = "remove it, or set MODELYARD_HOME to a folder of your own"
        return Finding("home", str(folder), Severity.ERROR, "the folder for sockets is somebody else's", fix)
    if stat.S_IMODE(facts.st_mode) != _PRIVATE:
        mode, fix = stat.S_IMODE(facts.st_mode), f"`chmod 700 {folder}`"
        return Finding("home", str(folder), Severity.WARNING, f"others may reach the sockets ({mode:o})", fix)
    return Finding("home", str(folder), Severity.OK, "private")


def _short_enough(home: Home) -> Finding:
    length = len(os.fsencode(home.replicas)) + len("/") + 45 + len("/http.sock")
    if length <= SOCKET_PATH_LIMIT:
        return Finding("home", "socket paths", Severity.OK, f"at most {length} of {SOCKET_PATH_LIMIT} bytes")
    fix = "set TMPDIR or XDG_RUNTIME_DIR to a shorter path"
    return Finding("home", "socket paths", Severity.ERROR, f"{length} bytes: over {SOCKET_PATH_LIMIT}", fix)
