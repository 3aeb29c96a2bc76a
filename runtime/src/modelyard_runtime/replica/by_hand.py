"""One replica, started by a person: a private folder, a contract, the same parent as everywhere, no trace left."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelyard_runtime.causes import EXIT_USAGE
from modelyard_runtime.contract import CONTRACT_FILE, StartContract, write_contract
from modelyard_runtime.replica.abandoned import hold, sweep
from modelyard_runtime.replica.arguments import ByHand, WrongArguments, parse
from modelyard_runtime.replica.console import ByHandWatcher, Teller, TerminalLog
from modelyard_runtime.replica.layout import WrongModels, find_models, lay_out, model_dir
from modelyard_runtime.replica.lifecycle import Life, exit_status
from modelyard_runtime.replica.places import LONGEST_FOLDER
from modelyard_runtime.replica.ports import free_port
from modelyard_runtime.replica.supervisor import Supervisor

_PREFIX = "replica-"


def run_by_hand(arguments: Sequence[str]) -> int:
    """Start one replica and live with it; returns the exit code."""
    try:
        asked = parse(arguments)
        with private_folder() as folder:
            return _serve(asked, _complete(asked, folder))
    except (WrongArguments, WrongModels) as error:
        sys.stderr.write(f"modelyard-replica: {error}\n")
        return EXIT_USAGE


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that is ours alone, short enough for sockets; remove it with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    if len(str(folder)) > LONGEST_FOLDER:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))  # made anew, 0700
    sweep(folder.parent, _PREFIX)
    with hold(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _complete(asked: ByHand, folder: Path) -> StartContract:
    app_root = Path(asked.app_root) if asked.app_root else folder / "app"
    code_dir = Path(asked.contract.code_dir)
    models = find_models(app_root) if asked.app_root else lay_out(app_root, asked.models, code_dir)
    (folder / "log").mkdir(mode=0o700)
    return dataclasses.replace(
        asked.contract,
        replica=f"by-hand-{os.getpid()}",
        run_dir=str(folder),
        log_dir=str(folder / "log"),
        app_root=str(app_root),
        model_dir=model_dir(app_root, models),
        models=models,
        port=asked.contract.port or free_port(asked.contract.host),
    )


def _serve(asked: ByHand, contract: StartContract) -> int:
    start_file = Path(contract.run_dir) / CONTRACT_FILE
    write_contract(contract, start_file)
    teller = Teller(as_json=asked.as_json)
    watcher = ByHandWatcher(contract, teller, check=asked.check)
    end = Supervisor(contract, start_file, TerminalLog(), watcher).run()
    code = exit_code(watcher, end)
    teller.tell("stopped", exit_code=code)
    return code


def exit_code(watcher: ByHandWatcher, end: Life) -> int:
    """Return 0 for an end that was asked for and cost nothing, else the class of what went wrong first or last."""
    if watcher.failure is not None:
        return int(watcher.failure)
    return exit_status(end)
