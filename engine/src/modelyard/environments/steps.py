"""Run one step of uv for a folder that is being made, and tell what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from modelyard.api import EnvironmentUnsolvable, ModelyardError, SystemError_, Unavailable
from modelyard.environments.calling import run_uv, wrong_credentials
from modelyard.environments.entries import size_bytes
from modelyard.environments.solving import OnLine
from modelyard.processes import free_bytes

STEP_SECONDS = 1800.0
_FULL = ("no space left on device", "disk quota exceeded", "os error 28")
_TAMPERED = ("hash mismatch", "do not match")
_OFFLINE = ("error sending request", "failed to fetch", "failed to download", "dns error")


async def uv_step(
    arguments: Sequence[str],
    folder: Path,
    on_line: OnLine | None,
    *,
    explain: Callable[[str, Path], ModelyardError] | None = None,
) -> None:
    """Run uv in `folder`; raises what `explain`, else `failure`, makes of its words."""
    done = await run_uv(arguments, cwd=folder, timeout_seconds=STEP_SECONDS, on_line=on_line)
    if done.status != 0:
        raise (explain or failure)(done.output_tail, folder)


def full_disk(output: str, folder: Path) -> SystemError_ | None:
    """Tell a full disk with numbers, where a failed step's words speak of one."""
    if not any(mark in output.lower() for mark in _FULL):
        return None
    return SystemError_(
        f"the disk is full: the environment needs more than the {size_bytes(folder)} bytes written so"
        f" far, {free_bytes(folder)} are free",
        place=str(folder.parent),
        remedy="free some space, or set XDG_CACHE_HOME or MODELYARD_HOME to a larger disk",
    )


def failure(output: str, folder: Path) -> ModelyardError:
    """Turn a failed step's words into cause, place and remedy."""
    said = last_words(output)
    lower = output.lower()
    if (full := full_disk(output, folder)) is not None:
        return full
    if (refused := wrong_credentials(output)) is not None:
        return refused
    if any(mark in lower for mark in _TAMPERED):
        return EnvironmentUnsolvable(
            f"a package is not the one that was locked: {said}",
            place="environment.requirements",
            remedy="find out who replaced it on the index; if rightly, solve the environment afresh. A lock file"
            " of your own must name a wheel for this Python and machine",
        )
    if any(mark in lower for mark in _OFFLINE):
        return Unavailable(
            f"the package index does not answer: {said}", remedy="check the network, then try again"
        )
    return SystemError_(
        f"uv could not build the environment: {said}",
        place=str(folder.parent),
        remedy="read uv's words above; `uv cache clean` mends a damaged cache",
    )


def last_words(output: str) -> str:
    """Put the end of what a program said on one line."""
    return " ".join(output.split())[-400:]
