"""A folder on disk becomes entries; what no layer may hold is refused with its path."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelyard.api import ImageUnbuildable
from modelyard.images import list_files, list_tree
from modelyard.images.entries import File, Folder, Link

NAMES = ["a", "b", "c"]
TARGETS = st.lists(st.sampled_from([*NAMES, "..", "."]), min_size=1, max_size=4).map("/".join)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "lib").mkdir(parents=True)
    (made / "lib/module.py").write_text("x = 1\n")
    (made / "run").write_text("#!/bin/sh\n")
    (made / "run").chmod(0o700)
    (made / "lib64").symlink_to("lib")
    return made


def test_files_folders_and_links_are_listed_at_their_place(folder: Path):
    entries = list_tree(folder, "opt/env")
    assert [entry.place for entry in entries] == [
        "opt",
        "opt/env",
        "opt/env/lib",
        "opt/env/lib/module.py",
        "opt/env/lib64",
        "opt/env/run",
    ]
    assert [type(entry) for entry in entries] == [Folder, Folder, Folder, File, Link, File]
    assert [entry.executable for entry in entries if isinstance(entry, File)] == [False, True]


def test_an_empty_folder_is_kept(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    assert Folder("srv/empty") in list_tree(tmp_path, "srv")


PYTHON = frozenset({"/usr/bin/python3"})


def environment(folder: Path) -> Path:
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to("/usr/bin/python3")
    (folder / "bin/python3").symlink_to("python")
    return folder


def test_an_environment_leads_to_the_interpreter_of_its_base_where_that_is_named(folder: Path):
    entries = list_tree(environment(folder), "opt/env", of_base=PYTHON)
    links = {entry.place: entry.target for entry in entries if isinstance(entry, Link)}
    assert links["opt/env/bin/python"] == "/usr/bin/python3"
    assert links["opt/env/bin/python3"] == "python"


@pytest.mark.parametrize(
    "target", ["/usr/bin/python3.11", "../../../usr/bin/python3", "/usr/bin/../bin/python3"]
)
def test_a_link_out_of_its_folder_is_refused_however_near_the_named_one_it_is(folder: Path, target: str):
    (environment(folder) / "bin/other").symlink_to(target)
    with pytest.raises(ImageUnbuildable, match="leaves the folder") as caught:
        list_tree(folder, "opt/env", of_base=PYTHON)
    assert caught.value.place == "opt/env/bin/other"


def test_nothing_lies_below_an_interpreter(folder: Path):
    (environment(folder) / "bin/below").symlink_to("python3/lib")
    with pytest.raises(ImageUnbuildable, match="leads nowhere"):
        list_tree(folder, "opt/env", of_base=PYTHON)


def test_a_fifo_is_refused_without_hanging(folder: Path):
    os.mkfifo(folder / "pipe")
    with pytest.raises(ImageUnbuildable, match="a FIFO") as caught:
        list_tree(folder, "opt/env")
    assert caught.value.place == str(folder / "pipe")
    assert caught.value.remedy


def test_a_socket_is_refused(monkeypatch: pytest.MonkeyPatch, folder: Path):
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(ImageUnbuildable, match="a socket"):
            list_tree(folder, "opt/env")


def test_a_device_is_refused(folder: Path):
    try:
        os.mknod(folder / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make a device")
    with pytest.raises(ImageUnbuildable, match="a character device"):
        list_tree(folder, "opt/env")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(ImageUnbuildable, match="cannot be read"):
        list_tree(tmp_path / "absent", "opt/env")


def test_a_name_that_would_remove_something_below_is_refused(folder: Path):
    (folder / "lib/.wh.module.py").touch()
    with pytest.raises(ImageUnbuildable, match="may not begin with"):
        list_tree(folder, "opt/env")


def test_a_name_that_is_not_utf8_is_refused(folder: Path):
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))).touch()
    with pytest.raises(ImageUnbuildable, match="not UTF-8") as caught:
        list_tree(folder, "opt/env")
    assert caught.value.place == "opt/env/\\xff"


@settings(deadline=None)
@given(
    links=st.dictionaries(st.sampled_from(["l", "m", "a/l", "a/m"]), TARGETS | st.just("l") | st.just("a/m")),
    files=st.sets(st.sampled_from(["b", "a/b", "a/c"])),
)
def test_a_kept_link_leads_inside_as_the_kernel_follows_it(links: dict[str, str], files: set[str]):
    with tempfile.TemporaryDirectory() as outer:
        root = Path(outer).resolve() / "root"
        (root / "a").mkdir(parents=True)
        for name in files:
            (root / name).touch()
        for name, target in links.items():
            (root / name).symlink_to(target)
        try:
            list_tree(root, "opt/env")
        except ImageUnbuildable as refusal:
            assert any(refusal.place == f"opt/env/{name}" for name in links)  # noqa: PT017  both ways are judged
            return
        for name in links:
            assert (root / name).resolve(strict=True).is_relative_to(root)


@settings(deadline=None)
@given(targets=st.lists(st.sampled_from(["b", "a/c", "a", "./b", "a/../b"]), max_size=3))
def test_a_link_to_what_is_inside_is_never_refused(targets: list[str]):
    with tempfile.TemporaryDirectory() as root:
        Path(root, "a").mkdir()
        for name in ("b", "a/c"):
            Path(root, name).touch()
        for number, target in enumerate(targets):
            Path(root, f"link{number}").symlink_to(target)
        assert sum(isinstance(one, Link) for one in list_tree(Path(root), "srv")) == len(targets)


def test_single_files_lie_where_they_are_wanted(folder: Path):
    entries = list_files({"opt/wheels/module.whl": folder / "lib/module.py"})
    assert [entry.place for entry in entries] == ["opt", "opt/wheels", "opt/wheels/module.whl"]


def test_a_single_link_stands_for_its_file(folder: Path):
    (folder / "link").symlink_to("run")
    (entry,) = list_files({"run": folder / "link"})
    assert isinstance(entry, File)
    assert entry.source == (folder / "run").resolve()


@pytest.mark.parametrize("place", ["/run", "../run", "opt/../run"])
def test_a_single_file_cannot_be_placed_outside(folder: Path, place: str):
    with pytest.raises(ImageUnbuildable, match="no path below"):
        list_files({place: folder / "run"})


@pytest.mark.parametrize(("name", "message"), [("lib", "is a folder"), ("absent", "cannot be read")])
def test_a_single_file_must_be_one(folder: Path, name: str, message: str):
    with pytest.raises(ImageUnbuildable, match=message):
        list_files({"run": folder / name})
