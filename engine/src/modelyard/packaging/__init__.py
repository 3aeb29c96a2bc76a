"""Project folders and models become content-addressed snapshots, trees on disk and OCI artifacts.

Lives here: ignore rules, the walk that hashes, deterministic tars, trees named by digest, artifacts.
Never here: extracting archives, deciding what to deploy, anything that follows a link out of a folder.
May import: api, pathspec.
"""

from modelyard.packaging.artifacts import restore_models, store_code, store_models
from modelyard.packaging.digests import Digests
from modelyard.packaging.modeltrees import materialise_models
from modelyard.packaging.snapshots import FileEntry, Snapshot
from modelyard.packaging.taking import take_model, take_snapshot
from modelyard.packaging.tars import write_tar
from modelyard.packaging.trees import materialise

__all__ = [
    "Digests",
    "FileEntry",
    "Snapshot",
    "materialise",
    "materialise_models",
    "restore_models",
    "store_code",
    "store_models",
    "take_model",
    "take_snapshot",
    "write_tar",
]
