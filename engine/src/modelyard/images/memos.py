"""Layers remembered by what they were made of, so that weights are not read again when only code changes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Protocol

import attrs

from modelyard.api import Descriptor
from modelyard.images.layers import Layer
from modelyard.processes import write_atomic

_KEY = re.compile(r"[0-9a-f]{64}")


class LayerMemo(Protocol):
    """Remembers layers; may forget any of them."""

    def load(self, key: str) -> Layer | None:
        """Give the layer of a key, None when unknown."""
        ...

    def save(self, key: str, layer: Layer) -> None:
        """Remember a layer."""
        ...


class NoMemo:
    """Remembers nothing."""

    def load(self, key: str) -> Layer | None:
        """Know none."""
        del key
        return None

    def save(self, key: str, layer: Layer) -> None:
        """Forget it."""


@attrs.frozen
class FolderMemo:
    """One small file a layer, named by its key (64 hex digits); a damaged one counts as absent."""

    folder: Path

    def load(self, key: str) -> Layer | None:
        """Read the layer of a key."""
        try:
            raw = json.loads((self.folder / _checked(key)).read_text(encoding="utf-8"))
            blob = Descriptor(str(raw["media_type"]), str(raw["digest"]), int(raw["size"]))
            return Layer(blob, str(raw["diff_id"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, key: str, layer: Layer) -> None:
        """Write the layer of a key."""
        blob = layer.blob
        raw = {
            "media_type": blob.media_type,
            "digest": blob.digest,
            "size": blob.size,
            "diff_id": layer.diff_id,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / _checked(key), json.dumps(raw).encode(), is_lasting=False)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a layer")
    return key
