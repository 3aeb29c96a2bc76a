"""Packages that a service asks for at its start, as v1's prebuilt images installed them.

`AZUREML_EXTRA_REQUIREMENTS_TXT` names a requirements file beside the entry script. Its packages go into a folder of
the replica's own, once: a worker that starts again, or a second one, finds them there.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from typing import List

from .explaining import say
from .failures import ScriptError

REQUIREMENTS_VARIABLE = "AZUREML_EXTRA_REQUIREMENTS_TXT"
"""v1: a requirements file, relative to the entry script's folder."""
FOLDER_VARIABLE = "MODELYARD_PACKAGES"
"""Where the replica wants them; private, and removed with it."""
REQUIREMENTS_FAILED = 24
_DONE = ".installed"
"""In the folder: the fingerprint of what it holds."""


def extra_packages(script_folder: str) -> str:
    """Return the folder of the packages asked for, installed now where need be; "" = none are.

    Raises `ScriptError` with the installer's reason; then the folder is as it was.
    """
    named = os.environ.get(REQUIREMENTS_VARIABLE, "")
    folder = os.environ.get(FOLDER_VARIABLE, "")
    if not named or not folder:
        return ""
    file = os.path.join(script_folder, named)
    wanted = _fingerprint(file, named)
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _held(folder) != wanted:
            _install(file, folder, wanted)
    return folder


def _fingerprint(file: str, named: str) -> str:
    try:
        with open(file, "rb") as opened:
            content = opened.read()
    except OSError as error:
        raise ScriptError(
            f"{REQUIREMENTS_VARIABLE} names {named}, which cannot be read: {error.strerror}",
            remedy="write the file's path relative to the entry script's folder",
            exit_code=REQUIREMENTS_FAILED,
        ) from error
    return hashlib.sha256(sys.version.encode() + content).hexdigest()


def _held(folder: str) -> str:
    try:
        with open(os.path.join(folder, _DONE)) as opened:
            return opened.read()
    except OSError:
        return ""


def _install(file: str, folder: str, wanted: str) -> None:
    fresh = folder + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    os.mkdir(fresh, 0o700)
    say(f"installing the packages of {os.path.basename(file)}")
    _run([*_installer(), "--target", fresh, "--requirement", file], os.path.basename(file))
    with open(os.path.join(fresh, _DONE), "w") as opened:
        opened.write(wanted)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(fresh, folder)


def _installer() -> List[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    uv = shutil.which(os.environ.get("UV") or "uv") or shutil.which("uv")
    if uv is None:
        raise ScriptError(
            f"{REQUIREMENTS_VARIABLE} is set, but {sys.executable} has no pip and there is no uv",
            remedy="install pip into the environment, or put uv on the PATH",
            exit_code=REQUIREMENTS_FAILED,
        )
    return [uv, "pip", "install", "--color", "never", "--no-progress", "--python", sys.executable]


def _run(command: List[str], named: str) -> None:
    """Run the installer; what it says goes to the log as it comes."""
    reason = ""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as installer:
        for line in installer.stdout or ():
            text = line.decode("utf-8", "replace").strip()
            say(text)
            reason = text or reason
    if installer.returncode:
        raise ScriptError(
            f"the packages of {named} cannot be installed: {reason or 'the installer gave no reason'}",
            remedy="mend the file, or the package index it needs; the installer's whole output is in the log",
            exit_code=REQUIREMENTS_FAILED,
        )
