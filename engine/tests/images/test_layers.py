"""A layer is a pure function of its entries, written as a stream."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import itertools
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelyard.api import Compression, Descriptor, ImageUnbuildable, SystemError_
from modelyard.images import list_tree
from modelyard.images.entries import Folder
from modelyard.images.layers import GZIP_TYPE, TAR_TYPE, ZSTD_TYPE, Layer, _header, write_layer

from engine.tests.images.layering import unzstd

LONG = "packages/" + "n" * 120 + "/" + "ä" * 60 + ".py"
CONTENT: Mapping[str, bytes] = {
    "bin/run": b"#!/bin/sh\n",
    "lib/module.py": b"x = 1\n",
    "lib/module-1.0.dist-info/RECORD": b"",
    LONG: b"y" * 1_000,
    "weights": bytes(range(256)) * 20,
}
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0."), min_size=1, max_size=20)


def plant(folder: Path, files: Sequence[tuple[str, bytes]]) -> Path:
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def layer_of(folder: Path, *, compression: Compression | None = None) -> tuple[Layer, bytes]:
    with tempfile.TemporaryDirectory() as outer:
        destination = Path(outer) / "layer"
        layer = write_layer(list_tree(folder, "opt/env"), destination, compression=compression)
        return layer, destination.read_bytes()


def members(content: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as tar:
        return tar.getmembers()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = plant(tmp_path / "tree", list(CONTENT.items()))
    (made / "bin/run").chmod(0o755)
    (made / "lib64").symlink_to("lib")
    return made


def test_it_names_what_was_written(folder: Path):
    plain, content = layer_of(folder)
    assert plain.blob.media_type == TAR_TYPE
    assert plain.blob.digest == plain.diff_id == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert plain.blob.size == len(content)
    squeezed, blob = layer_of(folder, compression="gzip")
    assert squeezed.blob.media_type == GZIP_TYPE
    assert squeezed.blob.digest == f"sha256:{hashlib.sha256(blob).hexdigest()}"
    assert squeezed.blob.size == len(blob) < len(content)
    assert squeezed.diff_id == plain.diff_id
    assert gzip.decompress(blob) == content


def test_in_zstd_it_holds_the_same_tar(folder: Path):
    plain, content = layer_of(folder)
    squeezed, blob = layer_of(folder, compression="zstd")
    assert squeezed.blob == Descriptor(ZSTD_TYPE, f"sha256:{hashlib.sha256(blob).hexdigest()}", len(blob))
    assert squeezed.diff_id == plain.diff_id
    assert len(blob) < len(content)
    assert unzstd(blob) == content
    assert layer_of(folder, compression="zstd") == (squeezed, blob)


def test_the_gzip_header_holds_no_time_and_no_name(folder: Path):
    _, blob = layer_of(folder, compression="gzip")
    assert blob[3] == 0
    assert blob[4:8] == bytes(4)


def test_the_tar_holds_names_modes_and_bytes_and_nothing_else(folder: Path):
    _, content = layer_of(folder)
    found = {one.name: one for one in members(content)}
    assert list(found) == sorted(found, key=str.encode)
    for one in found.values():
        assert (one.uid, one.gid, one.uname, one.gname, one.mtime) == (0, 0, "", "", 0)
        assert set(one.pax_headers) <= {"path"}
    modes = {name.removeprefix("opt/env/"): oct(one.mode) for name, one in found.items()}
    assert modes["bin"] == modes["bin/run"] == "0o755"
    assert modes["lib/module.py"] == "0o644"
    assert found["opt/env/lib64"].linkname == "lib"
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for name, expected in CONTENT.items():
            file = tar.extractfile(f"opt/env/{name}")
            assert file
            assert file.read() == expected


def test_anyone_may_read_it_and_nobody_but_root_may_write(folder: Path):
    (folder / "lib/module.py").chmod(0o600)
    (folder / "lib").chmod(0o700)
    for one in members(layer_of(folder)[1]):
        assert one.issym() or one.mode & 0o444 == 0o444
        assert one.issym() or not one.mode & 0o022
        assert not one.isdir() or one.mode & 0o111 == 0o111


def test_a_folder_with_an_owner_is_theirs_alone(tmp_path: Path):
    write_layer([Folder("var"), Folder("var/own", owner=65532)], tmp_path / "layer", compression=None)
    outer, own = members((tmp_path / "layer").read_bytes())
    assert (outer.uid, outer.gid, outer.mode) == (0, 0, 0o755)
    assert (own.uid, own.gid, own.mode) == (65532, 65532, 0o700)


def test_order_time_umask_owner_and_attributes_do_not_change_it(folder: Path, tmp_path: Path):
    files = list(CONTENT.items())
    files.reverse()
    before = os.umask(0o077)
    try:
        other = plant(tmp_path / "elsewhere" / "tree", files)
    finally:
        os.umask(before)
    (other / "lib64").symlink_to("lib")
    (other / "bin/run").chmod(0o700)
    for number, path in enumerate(sorted(other.rglob("*"))):
        os.utime(path, (number, 1_000_000_000 + number * 0.5), follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(path, 1234, 4321, follow_symlinks=False)
    with contextlib.suppress(OSError):  # some file systems keep none
        os.setxattr(other / "weights", "user.note", b"mine")
    assert layer_of(other) == layer_of(folder)
    assert layer_of(other, compression="gzip") == layer_of(folder, compression="gzip")


@settings(deadline=None)
@given(
    files=st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=2_000)),
    data=st.data(),
)
def test_the_same_files_give_the_same_layer(files: dict[str, bytes], data: st.DataObject):
    plain = [(name, content) for name, content in files.items() if not _has_file_above(name, files)]
    shuffled = data.draw(st.permutations(plain))
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        first, content = layer_of(plant(Path(one), plain))
        second, _ = layer_of(plant(Path(other), shuffled))
        assert first == second
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            held = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
    assert held == {f"opt/env/{name}": bytes_ for name, bytes_ in plain}


def _has_file_above(name: str, files: Mapping[str, bytes]) -> bool:
    above = itertools.accumulate(name.split("/")[:-1], lambda a, b: f"{a}/{b}")
    return any(folder in files for folder in above)


@pytest.mark.parametrize("change", ["byte", "mode", "name", "link"])
def test_any_change_that_matters_changes_it(folder: Path, change: str):
    before = layer_of(folder)[0]
    match change:
        case "byte":
            (folder / "lib/module.py").write_bytes(b"x = 2\n")
        case "mode":
            (folder / "lib/module.py").chmod(0o755)
        case "name":
            (folder / "weights").rename(folder / "weight")
        case "link":
            (folder / "lib64").unlink()
            (folder / "lib64").symlink_to("bin")
    assert layer_of(folder)[0] != before


def test_hard_links_are_written_once(folder: Path):
    os.link(folder / "weights", folder / "again")
    found = {one.name: one for one in members(layer_of(folder)[1])}
    assert found["opt/env/again"].isreg()
    assert found["opt/env/weights"].islnk()
    assert found["opt/env/weights"].linkname == "opt/env/again"


def test_a_file_over_eight_gigabytes_keeps_its_size(tmp_path: Path):
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(9 << 30)
    entry = list_tree(tmp_path, "opt")[-1]
    info = tarfile.TarInfo.frombuf(_header(entry)[-512:], "utf-8", "strict")
    assert info.name == "opt/weights"
    assert b"size=9663676416\n" in _header(entry)


@pytest.mark.parametrize("change", ["longer", "shorter", "another", "gone", "fifo", "link"])
def test_a_file_that_changed_since_it_was_listed_is_refused(folder: Path, tmp_path: Path, change: str):
    entries = list_tree(folder, "opt/env")
    path = folder / "weights"
    match change:
        case "longer":
            path.write_bytes(b"w" * 6_000)
        case "shorter":
            path.write_bytes(b"w")
        case "another":
            (folder / "new").write_bytes(path.read_bytes())
            (folder / "new").rename(path)
        case "gone":
            path.unlink()
        case "fifo":
            path.unlink()
            os.mkfifo(path)
        case "link":
            path.unlink()
            path.symlink_to("/etc/passwd")
    with pytest.raises(ImageUnbuildable) as caught:
        write_layer(entries, tmp_path / "layer", compression=None)
    assert caught.value.place == str(path)
    assert caught.value.remedy


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(SystemError_, match="the disk is full"):
        write_layer([Folder("opt")], tmp_path / "layer", compression=None)


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
def test_it_tells_how_much_of_it_can_be_read_already(tmp_path: Path, compression: Compression | None):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/weights").write_bytes(os.urandom(5_000_000))
    destination, told = tmp_path / "layer", list[bytes]()

    def note(size: int) -> None:
        content = destination.read_bytes()
        assert len(content) == size
        told.append(content)

    entries = list_tree(tmp_path / "tree", "opt")
    layer = write_layer(entries, destination, compression=compression, told=note)
    assert len(told) >= 3
    assert len(told[-1]) < layer.blob.size
    assert all(destination.read_bytes().startswith(one) for one in told)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_whoever_is_told_may_end_it(tmp_path: Path, compression: Compression | None):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/weights").write_bytes(os.urandom(8_000_000))

    def stop(_: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        write_layer(
            list_tree(tmp_path / "tree", "opt"), tmp_path / "layer", compression=compression, told=stop
        )
    assert (tmp_path / "layer").stat().st_size < 3_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, which tells a process's peak of memory")
@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
def test_memory_does_not_grow_with_a_file(tmp_path: Path, compression: Compression | None):
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(300_000_000)
    program = (
        "import sys; from pathlib import Path\n"
        "from modelyard.images import list_tree\n"
        "from modelyard.images.layers import write_layer\n"
        "def peak():\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))\n"
        "entries = list_tree(Path(sys.argv[1]), 'opt/model')\n"
        "before = peak()\n"
        f"write_layer(entries, Path('/dev/null'), compression={compression!r})\n"
        "print(peak() - before)\n"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 16_384, "KiB of memory for a layer of 300 MB"
