"""What a script finds in its environment: a few neutral names of ours, v1's variables, the service's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from modelyard_runtime.contract import StartContract

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER")
"""What user code may see of the engine's or the shell's environment."""
REPLICA_VARIABLE = "MODELYARD_REPLICA"
"""Names the replica's run folder to all it starts, so that what a dead server leaves behind is found."""
EXTRA_REQUIREMENTS = "AZUREML_EXTRA_REQUIREMENTS_TXT"
"""v1: its packages are installed at the start, into a folder of the replica's; see `worker.extra_packages`."""


_OF_THE_PROCESS = ("PYTHONHOME", "PWD", "OLDPWD", "AZUREML_MODEL_DIR", "AZUREML_SOURCE_DIRECTORY")
"""Beside what is kept for all: true of the parent or of its image alone, not of a script's process and service."""


def server_environment(contract: StartContract, own: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the whole environment of a server; the service's variables win over v1's."""
    kept = {name: own[name] for name in _KEPT if name in own}
    path = ":".join([str(Path(sys.executable).parent), kept.get("PATH", "/usr/bin:/bin")])
    own_variables = {REPLICA_VARIABLE: contract.run_dir}
    return {**kept, "PATH": path, **v1_variables(contract), **contract.variables, **own_variables}


def image_variables(contract: StartContract, own: Mapping[str, str]) -> dict[str, str]:
    """Return what a container's environment says to its script: an image's own settings, as v1 passed them on.

    All but what the replica itself says; names of ours never.
    """
    said = {*_KEPT, *_OF_THE_PROCESS, *v1_variables(contract)}
    return {
        name: value for name, value in own.items() if name not in said and not name.startswith("MODELYARD_")
    }


def v1_variables(contract: StartContract) -> dict[str, str]:
    """Return what v1 tells a script of where it is and what it serves.

    The entry script is named relative to the app root where the code lies in it, as v1 does, else by itself.
    """
    source = Path(contract.code_dir).name
    inside = bool(contract.app_root) and _same(Path(contract.app_root) / source, Path(contract.code_dir))
    variables = {
        "AML_APP_ROOT": contract.app_root or contract.code_dir,
        "AZUREML_ENTRY_SCRIPT": f"{source}/{contract.entry}" if inside else contract.entry,
        "SERVICE_NAME": contract.service,
        "SERVICE_VERSION": str(contract.revision),
    }
    if inside:
        variables["AZUREML_SOURCE_DIRECTORY"] = source
    if contract.model_dir:
        variables["AZUREML_MODEL_DIR"] = contract.model_dir
    if EXTRA_REQUIREMENTS in contract.variables:
        variables["MODELYARD_PACKAGES"] = str(Path(contract.run_dir) / "packages")
    return variables


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
