"""`Model.get_model_path`: where a registered model lies in this replica, as v1's class of that name says it."""

from __future__ import annotations

import os
from pathlib import Path

_ROOT_VARIABLE = "AML_APP_ROOT"
_MODELS = "azureml-models"


class Model:
    """The one thing of azureml.core's `Model` that works inside a replica."""

    @staticmethod
    def get_model_path(model_name: str, version: int | str | None = None, _workspace: object = None) -> str:
        """Return the path of a model's only file or folder; the newest version unless one is named.

        Raises `FileNotFoundError` for a model that this service does not have.
        """
        folder = Path(os.environ.get(_ROOT_VARIABLE, "")) / _MODELS / model_name
        known = sorted((int(entry.name) for entry in _entries(folder) if entry.name.isdigit()), reverse=True)
        for found in known if version is None else [int(version)]:
            entries = _entries(folder / str(found))
            if entries:
                return str(entries[0] if len(entries) == 1 else folder / str(found))
        local = Path(model_name)
        if local.exists():
            return str(local)
        asked = model_name if version is None else f"{model_name}, version {version},"
        raise FileNotFoundError(
            f"the model {asked} is not in {folder}: is it listed under the service's models?"
        )


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
