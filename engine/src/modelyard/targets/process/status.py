"""Ask a replica over its own socket how many requests it has."""

from __future__ import annotations

import json

from modelyard_runtime.contract import STATUS_PATH

from modelyard.targets.asking import TIMEOUT_SECONDS, NoAnswer, NobodyListens, ask


async def in_flight(address: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> int:
    """Return running plus queued; 0 when nothing listens, for then nothing runs. Raises `NoAnswer`."""
    try:
        status = json.loads(await ask(address, STATUS_PATH, timeout_seconds=timeout_seconds))
        return int(status["running"]) + int(status["queued"])
    except NobodyListens:
        return 0
    except (ValueError, KeyError, TypeError) as error:
        raise NoAnswer(str(error)) from error
