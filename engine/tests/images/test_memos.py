"""Layers are remembered by what they were made of; whatever is damaged counts as forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelyard.api import Descriptor
from modelyard.images import FolderMemo
from modelyard.images.layers import Layer
from modelyard.images.memos import NoMemo

KEY = "a" * 64
LAYER = Layer(Descriptor("tar", f"sha256:{'b' * 64}", 7), f"sha256:{'c' * 64}")


def test_what_was_remembered_is_known_to_the_next_that_asks(tmp_path: Path):
    FolderMemo(tmp_path / "new").save(KEY, LAYER)
    assert FolderMemo(tmp_path / "new").load(KEY) == LAYER


def test_what_was_never_remembered_is_unknown(tmp_path: Path):
    assert FolderMemo(tmp_path).load(KEY) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"media_type": "x", "digest": "y", "size": "z"}'])
def test_what_is_damaged_is_unknown(tmp_path: Path, content: str):
    (tmp_path / KEY).write_text(content)
    assert FolderMemo(tmp_path).load(KEY) is None


@pytest.mark.parametrize("key", ["", "../x", "A" * 64, "a" * 63])
def test_a_key_is_sixty_four_hex_digits(tmp_path: Path, key: str):
    with pytest.raises(ValueError, match="no key"):
        FolderMemo(tmp_path).save(key, LAYER)


def test_whoever_has_no_memory_forgets_all():
    memo = NoMemo()
    memo.save(KEY, LAYER)
    assert memo.load(KEY) is None
