"""`modelyard-replica`: with one file, a target's replica; with options, one started by hand."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from modelyard_runtime.causes import EXIT_USAGE
from modelyard_runtime.contract import ContractError, read_contract
from modelyard_runtime.replica.logs import RotatingLog
from modelyard_runtime.replica.supervisor import Supervisor


def main(arguments: Sequence[str] | None = None) -> int:
    """`modelyard-replica CONTRACT`, or `modelyard-replica --code DIR ...`."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if len(words) == 1 and not words[0].startswith("-"):
        return _run_contract(Path(words[0]).absolute())
    from modelyard_runtime.replica.by_hand import run_by_hand  # argparse: only where a person asks

    return run_by_hand(words)


def _run_contract(path: Path) -> int:
    try:
        contract = read_contract(path)
    except ContractError as error:
        sys.stderr.write(f"modelyard-replica: {error}\n")
        return EXIT_USAGE
    with contextlib.suppress(PermissionError):  # already a session's leader
        os.setsid()
    log = RotatingLog(Path(contract.log_dir), max_bytes=contract.log_max_bytes, files=contract.log_files)
    Supervisor(contract, path, log).run()
    return 0
