"""What `docker save` writes is read piece by piece; what is wrong with it is said, and nothing lands beside."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard import archives
from modelyard.archives import ArchiveError, Saved, diff_id_of, read_archive

from tests.testbed.kept_contents import Memory, config, digest

LAYERS = (b"lowest" * 1000, b"highest")


def tar(*members: tuple[str, bytes | str]) -> bytes:
    """A tar: bytes are files, texts are where links lead."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return output.getvalue()


def manifest(*layers: str, config: str = "c.json") -> tuple[str, bytes]:
    return "manifest.json", json.dumps([{"Config": config, "Layers": list(layers)}]).encode()


def pieces(content: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def read(content: bytes, keeper: Memory | None = None) -> Saved:
    return read_archive(pieces(content), keeper or Memory())


def test_an_image_is_read_with_its_layers_in_order():
    keeper = Memory()
    members = (("c.json", config(*LAYERS)), ("b/layer.tar", LAYERS[1]), ("a/layer.tar", LAYERS[0]))
    saved = read(tar(*members, manifest("a/layer.tar", "b/layer.tar")), keeper)
    assert [keeper.kept[layer.digest] for layer in saved.layers] == list(LAYERS)
    assert saved.diff_ids == tuple(map(digest, LAYERS))
    assert saved.config == config(*LAYERS)


def test_a_layer_that_lies_there_twice_is_a_link_to_itself():
    same = LAYERS[0]
    members = (("c.json", config(same, same)), ("a/layer.tar", same), ("b/layer.tar", "../a/layer.tar"))
    saved = read(tar(*members, manifest("a/layer.tar", "b/layer.tar")))
    assert saved.layers[0] == saved.layers[1]


def test_a_compressed_layer_is_what_it_holds():
    packed = gzip.compress(LAYERS[0])
    saved = read(tar(("c.json", config(LAYERS[0])), ("a", packed), manifest("a")))
    assert saved.layers[0].digest == digest(packed)
    assert saved.layers[0].media_type.endswith("tar+gzip")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no member|whole tar"),
        (b"no tar at all" * 100, "whole tar"),
        (tar(("c.json", config())), "manifest.json"),
        (tar(("manifest.json", b"{}")), "one image"),
        (tar(("manifest.json", b"[{}, {}]")), "one image"),
        (tar(("manifest.json", b"[" * 100_000)), "no JSON"),
        (tar(manifest("a"), ("c.json", config(b"a"))), "no member 'a'"),
        (tar(manifest(), ("c.json", b"{}")), "incomplete"),
        (tar(manifest(), ("c.json", b"[]")), "incomplete"),
        (tar(manifest("a"), ("c.json", config()), ("a", b"")), "1 layers"),
        (tar(manifest("a"), ("c.json", config(b"other")), ("a", b"a")), "not the one"),
        (tar(manifest("a"), ("c.json", config(b"x")), ("a", gzip.compress(b"y"))), "not the one"),
        (tar(manifest("a"), ("c.json", config(b"x")), ("a", gzip.compress(b"x")[:-4])), "too soon"),
        (tar(manifest("a"), ("c.json", config(b"x")), ("a", "a")), "no member"),
        (tar(manifest("a"), ("c.json", config(b"x")), ("a", "/etc/passwd")), "no member"),
        (tar(manifest("/etc/passwd"), ("c.json", config(b"x"))), "no member"),
        (tar(("manifest.json", b" " * 5_000_000)), "document"),
    ],
)
def test_what_is_wrong_with_an_archive_is_said(content: bytes, why: str):
    with pytest.raises(ArchiveError, match=why):
        read(content)


def test_an_archive_that_is_cut_is_never_taken_for_whole():
    whole = tar(("c.json", config(LAYERS[0])), ("a", LAYERS[0]), manifest("a"))
    for length in range(0, len(whole) - 1024 * 9, 512):
        with pytest.raises(ArchiveError):
            read(whole[:length])


def test_a_header_that_would_fill_memory_is_refused():
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    endless = (bytes(1 << 20) for _ in range(1 << 20))

    def chunks() -> Iterator[bytes]:
        yield info.tobuf()
        yield from endless

    with pytest.raises(ArchiveError, match="too large"):
        read_archive(chunks(), Memory())


def test_more_members_than_any_image_has_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 3)
    with pytest.raises(ArchiveError, match="members"):
        read(tar(*((str(number), b"") for number in range(5))))


def test_names_are_keys_and_never_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    evil = "../../evil"
    saved = read(tar(("c.json", config(b"x")), (evil, b"x"), ("/abs", b"y"), manifest(evil)))
    assert saved.diff_ids == (digest(b"x"),)
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.binary(max_size=200_000), min_size=1, max_size=3))
def test_joined_gzip_streams_hold_what_they_hold(contents: list[bytes]):
    packed = b"".join(map(gzip.compress, contents))
    assert diff_id_of(pieces(packed)) == digest(b"".join(contents))


@given(st.binary(max_size=2000))
def test_no_bytes_make_the_reader_fail_otherwise(content: bytes):
    with pytest.raises(ArchiveError):
        read(content)
