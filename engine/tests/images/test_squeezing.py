"""What was compressed on several cores is read by every tool, and is the same on one core."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.images import squeezing
from modelyard.images.squeezing import PIECE_BYTES, Squeezer


def squeeze(*pieces: bytes, threads: int | None = None) -> bytes:
    output = io.BytesIO()
    with Squeezer(output, threads=threads) as squeezer:
        for piece in pieces:
            assert squeezer.write(piece) == len(piece)
    return output.getvalue()


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 100))
def test_what_goes_in_comes_out(pieces: list[bytes], piece_bytes: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(squeezing, "PIECE_BYTES", piece_bytes)
        assert gzip.decompress(squeeze(*pieces)) == b"".join(pieces)


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_how_it_was_written_and_on_how_many_cores_makes_no_difference(pieces: list[bytes]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(squeezing, "PIECE_BYTES", 64)
        assert squeeze(*pieces, threads=1) == squeeze(b"".join(pieces), threads=3)


def test_nothing_is_still_a_gzip_file():
    assert gzip.decompress(squeeze()) == b""


def test_there_is_no_time_and_no_name_in_it():
    assert squeeze(b"a")[3:8] == bytes(5)


@pytest.mark.skipif(shutil.which("gzip") is None, reason="needs gzip, the tool other people use")
def test_gzip_reads_it():
    content = bytes(PIECE_BYTES) + b"the end"
    done = subprocess.run(["gzip", "-dc"], input=squeeze(content), capture_output=True, check=True)
    assert done.stdout == content


def test_what_cannot_be_written_ends_it():
    class Full:
        def write(self, content: bytes, /) -> object:
            assert content
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), Squeezer(Full()) as squeezer:
        squeezer.write(b"a")
