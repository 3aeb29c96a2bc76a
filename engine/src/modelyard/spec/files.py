"""Read the small files that a specification names: regular ones, of bounded size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from modelyard.spec.findings import WrongError

MAX_FILE_BYTES = 1_000_000


def read_text(path: Path) -> str:
    """Read a text file. Raises `WrongError`."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongError(f"is not UTF-8 ({path})", allowed="a text file in UTF-8") from error


def read_bytes(path: Path, *, most: int = MAX_FILE_BYTES) -> bytes:
    """Read a file. Raises `WrongError`; never waits for a FIFO, never reads a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise WrongError(f"is no regular file ({path})", allowed="an existing file")
            content = file.read(most + 1)
    except OSError as error:
        raise WrongError(f"cannot be read: {error.strerror} ({path})", allowed="an existing file") from error
    if len(content) > most:
        raise WrongError(f"is larger than {most} bytes ({path})", allowed=f"at most {most} bytes")
    return content
