"""A build's context is packed the same everywhere, without what its ignore file leaves out, and never from outside."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import SnapshotError, SnapshotLimits
from modelyard.images.dockerfiles.contexts import DOCKERFILE, lay_out_context, pack_context
from modelyard.images.dockerfiles.ignoring import compile_context_rules


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {"a.txt": "a", "sub/b.txt": "b", "sub/run.sh": "#!/bin/sh"}.items():
        path = tmp_path / "context" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "context/sub/run.sh").chmod(0o700)
    return tmp_path / "context"


def packed(folder: Path | None, tmp_path: Path) -> tarfile.TarFile:
    pack_context(folder, "FROM x\n", tmp_path / "out.tar")
    return tarfile.open(fileobj=io.BytesIO((tmp_path / "out.tar").read_bytes()))


def names(folder: Path, tmp_path: Path) -> list[str]:
    with packed(folder, tmp_path) as tar:
        return [name for name in tar.getnames() if name not in (".dockerignore", DOCKERFILE)]


def test_a_context_holds_files_alone_with_plain_modes_and_the_dockerfile(folder: Path, tmp_path: Path):
    with packed(folder, tmp_path) as tar:
        found = {one.name: (one.mode, one.mtime, one.uid) for one in tar}
        dockerfile = tar.extractfile(DOCKERFILE)
        assert dockerfile is not None
        assert dockerfile.read() == b"FROM x\n"
    assert found["sub/run.sh"] == (0o755, 0, 0)
    assert found["a.txt"] == (0o644, 0, 0)


def test_the_same_folder_gives_the_same_bytes(folder: Path, tmp_path: Path):
    pack_context(folder, "FROM x\n", tmp_path / "one")
    os.utime(folder / "a.txt", (1, 1))
    pack_context(folder, "FROM x\n", tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_folder_is_an_empty_context(tmp_path: Path):
    with packed(None, tmp_path) as tar:
        assert sorted(tar.getnames()) == [".dockerignore", DOCKERFILE]


def test_a_link_inside_is_the_file_it_leads_to(folder: Path, tmp_path: Path):
    (folder / "link").symlink_to("sub/b.txt")
    with packed(folder, tmp_path) as tar:
        assert tar.getmember("link").isreg()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "nowhere"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, target: str):
    (folder / "link").symlink_to(target)
    for refuse in (lambda: packed(folder, tmp_path), lambda: lay_out_context(folder, tmp_path / "laid")):
        with pytest.raises(SnapshotError) as caught:
            refuse()
        assert caught.value.place == "link"


def test_a_fifo_is_refused_and_nobody_waits_for_it(folder: Path, tmp_path: Path):
    os.mkfifo(folder / "pipe")
    with pytest.raises(SnapshotError, match="FIFO"):
        packed(folder, tmp_path)


def test_too_large_a_context_is_refused_before_it_is_read(folder: Path, tmp_path: Path):
    with pytest.raises(SnapshotError, match="over 2 files"):
        pack_context(folder, "", tmp_path / "out", SnapshotLimits(max_files=2))


def test_a_laid_out_context_has_the_same_files(folder: Path, tmp_path: Path):
    (folder / ".dockerignore").write_text("a.txt")
    lay_out_context(folder, tmp_path / "laid")
    found = sorted(str(path.relative_to(tmp_path / "laid")) for path in (tmp_path / "laid").rglob("*.*"))
    assert found == ["sub/b.txt", "sub/run.sh"]
    assert (tmp_path / "laid/sub/run.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("sub", ["a.txt"]),
        ("/sub/", ["a.txt"]),
        ("./sub", ["a.txt"]),
        ("b.txt", ["a.txt", "sub/b.txt", "sub/run.sh"]),  # patterns begin at the top, unlike git's
        ("**/b.txt", ["a.txt", "sub/run.sh"]),
        ("*.txt", ["sub/b.txt", "sub/run.sh"]),
        ("*/*.txt", ["a.txt", "sub/run.sh"]),
        ("*\n!sub/b.txt", ["sub/b.txt"]),
        ("sub\n!sub/b.txt\nsub/*.txt", ["a.txt"]),
        ("# a.txt\n\n  a.txt  ", ["sub/b.txt", "sub/run.sh"]),
        (".", ["a.txt", "sub/b.txt", "sub/run.sh"]),
        ("../../a.txt", ["sub/b.txt", "sub/run.sh"]),  # what leaves the folder begins at its top
    ],
)
def test_the_ignore_file_means_what_docker_says(folder: Path, tmp_path: Path, ignore: str, left: list[str]):
    (folder / ".dockerignore").write_text(ignore)
    assert names(folder, tmp_path) == left


@given(st.text(max_size=60), st.text("ab/.", min_size=1, max_size=8))
def test_no_ignore_file_makes_the_rules_fail(text: str, path: str):
    rules = compile_context_rules(text.encode("utf-8", "replace"), SnapshotLimits())
    assert rules.leave_out(path, is_folder=False) in (True, False)
