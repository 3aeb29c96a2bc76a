"""The program that becomes a replica's server: puts itself in order, then turns into Envoy.

    python -I -m modelyard_runtime.server.launch CONTRACT --parent PID [--procs FILE]

It dies with its parent (Linux), joins the memory group it is told to, and leaves the reason in the
run folder where it cannot go on.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from modelyard_runtime.causes import CauseClass, StartFailure
from modelyard_runtime.contract import StartContract, read_contract
from modelyard_runtime.pairing import leave_failure
from modelyard_runtime.replica.libpython import LibpythonMissing, find_libpython

CONTRACT_VARIABLE = "MODELYARD_START"
INTERPRETER_VARIABLE = "MODELYARD_INTERPRETER"
LOADER_VARIABLES = ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONPATH", "PYTHONHOME")
"""What the embedded Python needs to start; user code never sees our values."""
EXIT_UNABLE = 3
_NO_MULTI_MODEL = StartFailure(
    "this release's replicas do not load models by name",
    "take multi_model out of engine.yaml: init() finds every model under AZUREML_MODEL_DIR",
    CauseClass.CANNOT_START,
)
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Turn into the server; returns only where that is not possible."""
    parser = argparse.ArgumentParser(prog="modelyard_runtime.server.launch")
    parser.add_argument("contract", type=Path)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--procs", type=Path)
    options = parser.parse_args(arguments)
    contract = read_contract(options.contract)
    if not die_with(options.parent):
        return EXIT_UNABLE
    if options.procs is not None:
        options.procs.write_text(str(os.getpid()), encoding="ascii")
    if contract.multi_model:
        leave_failure(Path(contract.run_dir), _NO_MULTI_MODEL)
        return EXIT_UNABLE
    try:
        argv, environment = command(contract, options.contract)
    except (LibpythonMissing, ImportError) as error:
        report(contract, error)
        return EXIT_UNABLE
    return os.execve(argv[0], argv, environment)  # noqa: S606  # an argv list, and no shell is what we want


def die_with(parent: int) -> bool:
    """Have the kernel kill this process when its parent dies; False when it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def command(contract: StartContract, path: Path) -> tuple[list[str], dict[str, str]]:
    """Write Envoy's configuration and return how to start it. Raises `LibpythonMissing`, ImportError."""
    from modelyard_runtime.server.envoy import binary, configuration

    config = Path(contract.run_dir) / "envoy.json"
    config.write_text(json.dumps(configuration(contract)), encoding="utf-8")
    argv = [
        binary(),
        *("--config-path", str(config)),
        "--disable-hot-restart",
        *("--concurrency", "1"),
        *("--log-level", "error"),
    ]
    return argv, environment(path, libpython=find_libpython())


def environment(path: Path, *, libpython: str) -> dict[str, str]:
    """Return the server's environment: this process's and the loader's needs."""
    preload = "LD_PRELOAD" if sys.platform == "linux" else "DYLD_INSERT_LIBRARIES"
    return {
        **os.environ,
        preload: ":".join(filter(None, (libpython, os.environ.get(preload)))),
        "PYTHONHOME": f"{sys.prefix}:{sys.exec_prefix}",
        "PYTHONPATH": ":".join([*sys.path, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONUNBUFFERED": "1",
        CONTRACT_VARIABLE: str(path),
        INTERPRETER_VARIABLE: sys.executable,
    }


def report(contract: StartContract, error: Exception) -> None:
    """Leave the reason where the parent looks for it."""
    remedy = getattr(error, "remedy", "install modelyard-runtime with its extra: modelyard-runtime[serve]")
    leave_failure(Path(contract.run_dir), StartFailure(str(error), remedy, CauseClass.CANNOT_START))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
