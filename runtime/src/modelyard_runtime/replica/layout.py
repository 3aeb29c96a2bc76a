"""Models on this machine, laid out as v1 scripts expect them.

    <app root>/azureml-models/<name>/<version>/<the model's file or folder>
    <app root>/<source folder>        the code

Everything is a link: nothing is copied, and nothing of the user's is changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard_runtime.contract import ModelEntry

MODELS_FOLDER = "azureml-models"
MAX_MODELS = 1000
"""v1's limit for one service."""
UNREGISTERED = "0"
"""The version of a model that no registry knows, as in v1."""
_NAMED = re.compile(r"(?P<name>[^=:/]+)(?::(?P<version>[0-9]+))?=(?P<path>.+)")


class WrongModels(Exception):
    """The models cannot be laid out; `str()` says what to change."""


@dataclass(frozen=True)
class LocalModel:
    """A model as the command line names it."""

    name: str
    version: str
    path: Path


def read_model(text: str) -> LocalModel:
    """Read `PATH`, `NAME=PATH` or `NAME:VERSION=PATH`. Raises `WrongModels`."""
    match = _NAMED.fullmatch(text)
    path = Path(match["path"] if match else text).absolute()
    if not path.exists():
        raise WrongModels(f"--model {text}: there is no {path}")
    name = match["name"] if match else path.name
    if name in ("", ".", ".."):
        raise WrongModels(f"--model {text}: give it a name, as NAME={text}")
    return LocalModel(name, (match["version"] if match else None) or UNREGISTERED, path)


def lay_out(app_root: Path, models: Sequence[LocalModel], code_dir: Path) -> tuple[ModelEntry, ...]:
    """Make the links below a folder of ours; returns where each model lies. Raises `WrongModels`."""
    check_count(len(models))
    entries: dict[tuple[str, str], ModelEntry] = {}
    for model in models:
        if (model.name, model.version) in entries:
            raise WrongModels(f"two models are called {model.name}:{model.version}: give one another version")
        folder = app_root / MODELS_FOLDER / model.name / model.version
        folder.mkdir(parents=True, mode=0o700)
        (folder / model.path.name).symlink_to(model.path)
        entries[model.name, model.version] = ModelEntry(
            name=model.name, version=model.version, path=str(folder)
        )
    app_root.mkdir(exist_ok=True, mode=0o700)
    if code_dir.name not in ("", MODELS_FOLDER):
        (app_root / code_dir.name).symlink_to(code_dir)
    return tuple(entries.values())


def find_models(app_root: Path) -> tuple[ModelEntry, ...]:
    """List what is laid out already, as a v1 image has it. Raises `WrongModels`."""
    folder = app_root / MODELS_FOLDER
    if not folder.is_dir():
        raise WrongModels(f"--app-root {app_root}: there is no {MODELS_FOLDER}/<name>/<version> in it")
    found = [
        ModelEntry(name=model.name, version=version.name, path=str(version))
        for model in sorted(folder.iterdir())
        if model.is_dir()
        for version in sorted(model.iterdir())
        if version.is_dir() and version.name.isdecimal()
    ]
    check_count(len(found))
    return tuple(sorted(found, key=lambda entry: (entry.name, int(entry.version))))


def check_count(models: int) -> None:
    """Refuse more models than a service may have. Raises `WrongModels`."""
    if models > MAX_MODELS:
        raise WrongModels(
            f"{models} models: a service has {MAX_MODELS} at most, as in v1; spread them over services"
        )


def model_dir(app_root: Path, entries: Sequence[ModelEntry]) -> str:
    """Return AZUREML_MODEL_DIR by v1's rule: the one model's folder, else the folder over all; empty for none."""
    if not entries:
        return ""
    return entries[0].path if len(entries) == 1 else str(app_root / MODELS_FOLDER)
