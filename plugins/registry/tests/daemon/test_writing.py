"""What is written for `docker load` is what `docker save` would have written: read back, it is the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.archives import ArchiveError, read_archive
from modelyard_registry.daemon.writing import Piece, write_archive

from tests.testbed.kept_contents import Memory, config, digest


def pieces(content: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@given(st.lists(st.binary(max_size=3000), max_size=5), st.integers(1, 5000))
def test_what_is_written_for_docker_is_read_back(layers: list[bytes], size: int):
    document = config(*layers)

    def piece(content: bytes) -> Piece:
        return Piece(digest(content), len(content), lambda: iter([content]))

    written = b"".join(write_archive(piece(document), [piece(layer) for layer in layers]))
    keeper = Memory()
    saved = read_archive(pieces(written, size), keeper)
    assert saved.config == document
    assert [keeper.kept[layer.digest] for layer in saved.layers] == layers


def test_a_piece_that_is_shorter_than_was_said_is_refused():
    with pytest.raises(ArchiveError, match="not as long"):
        list(write_archive(Piece(digest(b""), 5, lambda: iter([b""])), []))
