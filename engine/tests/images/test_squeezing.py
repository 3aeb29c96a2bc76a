"""What was compressed on several cores is read by every tool, and is the same on one core."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import Compression
from modelyard.images import squeezing
from modelyard.images.squeezing import PIECE_BYTES, Squeezer

from engine.tests.images.layering import unzstd

EXPAND: dict[Compression, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "zstd": unzstd}
each = pytest.mark.parametrize("compression", list(EXPAND))


def squeeze(*pieces: bytes, compression: Compression = "gzip", threads: int | None = None) -> bytes:
    output = io.BytesIO()
    with Squeezer(output, compression, threads=threads) as squeezer:
        for piece in pieces:
            assert squeezer.write(piece) == len(piece)
    return output.getvalue()


@each
@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 100))
def test_what_goes_in_comes_out(compression: Compression, pieces: list[bytes], piece_bytes: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(squeezing, "PIECE_BYTES", piece_bytes)
        squeezed = squeeze(*pieces, compression=compression)
        assert EXPAND[compression](squeezed) == b"".join(pieces)


@each
@given(st.lists(st.binary(max_size=300), max_size=8))
def test_how_it_was_written_and_on_how_many_cores_makes_no_difference(
    compression: Compression, pieces: list[bytes]
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(squeezing, "PIECE_BYTES", 64)
        alone = squeeze(*pieces, compression=compression, threads=1)
        assert alone == squeeze(b"".join(pieces), compression=compression, threads=3)


@each
def test_nothing_is_still_a_whole_file(compression: Compression):
    assert EXPAND[compression](squeeze(compression=compression)) == b""


def test_a_frame_of_zstd_tells_its_size_and_has_no_checksum():
    frame = zstandard.get_frame_parameters(squeeze(b"a" * 500, compression="zstd"))
    assert (frame.content_size, frame.has_checksum, frame.dict_id) == (500, False, 0)


def test_there_is_no_time_and_no_name_in_it():
    assert squeeze(b"a")[3:8] == bytes(5)


@pytest.mark.skipif(shutil.which("gzip") is None, reason="needs gzip, the tool other people use")
def test_gzip_reads_it():
    content = bytes(PIECE_BYTES) + b"the end"
    done = subprocess.run(["gzip", "-dc"], input=squeeze(content), capture_output=True, check=True)
    assert done.stdout == content


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs zstd, the tool other people use")
def test_zstd_reads_it():
    content = bytes(2 * PIECE_BYTES) + b"the end"
    done = subprocess.run(
        ["zstd", "-dc"],
        input=squeeze(content, compression="zstd"),
        capture_output=True,
        check=True,
    )
    assert done.stdout == content


def test_what_cannot_be_written_ends_it():
    class Full:
        def write(self, content: bytes, /) -> object:
            assert content
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), Squeezer(Full()) as squeezer:
        squeezer.write(b"a")
