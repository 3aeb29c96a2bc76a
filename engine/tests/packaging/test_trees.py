"""Trees and tars are whole or absent, mend themselves, and survive company and sudden death."""

import multiprocessing
import os
import signal
import stat
import tarfile
import threading
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from modelyard.api import ModelRef, SnapshotError, SnapshotLimits, SystemError_
from modelyard.packaging import materialise, materialise_models, take_model, take_snapshot, write_tar
from modelyard.packaging.staging import staging

LIMITS = SnapshotLimits()


@pytest.fixture
def folder(tmp_path: Path):
    (tmp_path / "project" / "pkg").mkdir(parents=True)
    (tmp_path / "project" / "score.py").write_text("def run(data): return data\n")
    (tmp_path / "project" / "pkg" / "tool.sh").write_text("#!/bin/sh\n")
    (tmp_path / "project" / "pkg" / "tool.sh").chmod(0o755)
    return tmp_path / "project"


def test_a_tree_holds_the_snapshot_read_only_under_its_digest(folder: Path, tmp_path: Path):
    snapshot = take_snapshot(folder, LIMITS)
    tree = materialise(folder, snapshot, tmp_path / "root")
    assert tree.name == snapshot.digest.removeprefix("sha256:")
    assert stat.S_IMODE((tree / "score.py").stat().st_mode) == 0o444
    assert stat.S_IMODE((tree / "pkg" / "tool.sh").stat().st_mode) == 0o555
    assert [entry.path for entry in take_snapshot(tree, LIMITS).files] == ["pkg/tool.sh", "score.py"]


def test_a_tree_is_made_once_and_needs_no_source_afterwards(folder: Path, tmp_path: Path):
    snapshot = take_snapshot(folder, LIMITS)
    first = materialise(folder, snapshot, tmp_path / "root")
    assert materialise(tmp_path / "gone", snapshot, tmp_path / "root") == first


def test_damaged_files_of_a_tree_are_replaced(folder: Path, tmp_path: Path):
    snapshot = take_snapshot(folder, LIMITS)
    tree = materialise(folder, snapshot, tmp_path / "root")
    (tree / "pkg" / "tool.sh").unlink()
    (tree / "score.py").chmod(0o644)
    (tree / "score.py").write_text("def run(data): return DATA\n")
    materialise(folder, snapshot, tmp_path / "root")
    assert (tree / "score.py").read_text() == (folder / "score.py").read_text()
    assert (tree / "pkg" / "tool.sh").exists()


def test_a_source_that_changed_makes_no_tree(folder: Path, tmp_path: Path):
    snapshot = take_snapshot(folder, LIMITS)
    (folder / "score.py").write_text("def run(data): return DATA\n")
    with pytest.raises(SnapshotError, match="changed"):
        materialise(folder, snapshot, tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_many_at_once_make_one_whole_tree(folder: Path, tmp_path: Path):
    snapshot = take_snapshot(folder, LIMITS)
    trees, threads = [], []
    for _ in range(8):
        threads.append(
            threading.Thread(target=lambda: trees.append(materialise(folder, snapshot, tmp_path / "root")))
        )
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(trees) == 8
    assert [found.name for found in (tmp_path / "root").iterdir()] == [trees[0].name]


def _die_while_staging(root: Path, ready: Event) -> None:
    with staging(root) as stage:
        (stage / "half").write_text("half a file")
        ready.set()
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_builder_left_is_swept_by_the_next(folder: Path, tmp_path: Path):
    root = tmp_path / "root"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    builder = context.Process(target=_die_while_staging, args=(root, ready))
    builder.start()
    builder.join(20)
    assert ready.is_set()
    assert len(list(root.glob(".stage-*"))) == 1
    tree = materialise(folder, take_snapshot(folder, LIMITS), root)
    assert list(root.iterdir()) == [tree]


def test_a_living_builder_is_not_swept(tmp_path: Path):
    with staging(tmp_path) as first, staging(tmp_path):
        assert first.exists()


def test_an_unwritable_root_is_a_system_error_with_a_remedy(folder: Path, tmp_path: Path):
    (tmp_path / "root").write_text("a file where the folder should be")
    with pytest.raises(SystemError_) as caught:
        materialise(folder, take_snapshot(folder, LIMITS), tmp_path / "root")
    assert caught.value.remedy


def test_the_same_snapshot_gives_the_same_tar(folder: Path, tmp_path: Path):
    long_name = "a-rather-long-folder-name-" * 8
    (folder / long_name).mkdir()
    (folder / long_name / "données.txt").write_text("é" * 2000)
    snapshot = take_snapshot(folder, LIMITS)
    tree = materialise(folder, snapshot, tmp_path / "root")
    write_tar(folder, snapshot, tmp_path / "a.tar")
    write_tar(tree, snapshot, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = archive.getmembers()
        assert [m.name for m in members] == [entry.path for entry in snapshot.files]
        assert {(m.mtime, m.uid, m.gid, m.uname) for m in members} == {(0, 0, 0, "")}
        assert [m.mode for m in members] == [entry.mode for entry in snapshot.files]
        assert archive.extractfile("score.py").read() == (folder / "score.py").read_bytes()


def test_a_tar_of_a_changed_file_is_refused_and_leaves_nothing(folder: Path, tmp_path: Path):
    snapshot = take_snapshot(folder, LIMITS)
    (folder / "score.py").write_text("longer than it was\n" * 10)
    (tmp_path / "out").mkdir()
    with pytest.raises(SnapshotError, match="changed"):
        write_tar(folder, snapshot, tmp_path / "out" / "a.tar")
    assert list((tmp_path / "out").iterdir()) == []


def taken(path: Path, name: str, version: str = "1"):
    ref = ModelRef(name, str(path), version)
    return ref, take_model(path)


def test_no_models_give_no_folder(tmp_path: Path):
    assert materialise_models([], tmp_path, tmp_path / "sets") == ("", "")


def test_a_model_of_one_file_is_the_only_entry_of_its_version(folder: Path, tmp_path: Path):
    root, directory = materialise_models(
        [taken(folder / "score.py", "m", "3")], tmp_path / "m", tmp_path / "sets"
    )
    assert directory == f"{root}/azureml-models/m/3"
    assert [one.name for one in Path(directory).iterdir()] == ["score.py"]
    assert (Path(directory) / "score.py").read_bytes() == (folder / "score.py").read_bytes()


def test_a_model_of_a_folder_keeps_the_folders_name_as_its_only_entry(folder: Path, tmp_path: Path):
    _, directory = materialise_models([taken(folder, "m")], tmp_path / "m", tmp_path / "sets")
    assert [one.name for one in Path(directory).iterdir()] == [folder.name]
    assert (Path(directory) / folder.name / "pkg/tool.sh").exists()


def test_a_link_lends_a_model_its_own_name(folder: Path, tmp_path: Path):
    for name, target in (("newest", folder), ("newest.py", folder / "score.py")):
        (tmp_path / name).symlink_to(target)
        _, directory = materialise_models(
            [taken(tmp_path / name, "m")], tmp_path / "m", tmp_path / "sets" / name
        )
        assert [one.name for one in Path(directory).iterdir()] == [name]


def test_several_models_lie_by_name_and_version_and_share_contents(folder: Path, tmp_path: Path):
    models = [taken(folder, "one"), taken(folder / "score.py", "two"), taken(folder / "score.py", "two", "2")]
    root, directory = materialise_models(models, tmp_path / "m", tmp_path / "sets")
    assert directory == f"{root}/azureml-models"
    one, two = Path(directory) / "one/1" / folder.name / "score.py", Path(directory) / "two/1/score.py"
    assert one.samefile(two)
    assert (Path(directory) / "two/2/score.py").samefile(two)


def test_a_thousand_models_are_laid_out(tmp_path: Path):
    (tmp_path / "weights.bin").write_bytes(b"same")
    models = [taken(tmp_path / "weights.bin", f"m{number}") for number in range(1_000)]
    _, directory = materialise_models(models, tmp_path / "m", tmp_path / "sets")
    assert len(list(Path(directory).glob("*/1/weights.bin"))) == 1_000


def test_laying_out_models_again_changes_nothing_and_mends_what_is_missing(folder: Path, tmp_path: Path):
    models = [taken(folder, "one")]
    first = materialise_models(models, tmp_path / "m", tmp_path / "sets")
    lost = Path(first[1]) / folder.name / "score.py"
    lost.unlink()
    assert materialise_models(models, tmp_path / "m", tmp_path / "sets") == first
    assert lost.exists()


def test_a_model_that_changed_is_refused_and_its_content_not_stored(folder: Path, tmp_path: Path):
    model = taken(folder / "score.py", "m")
    (folder / "score.py").write_text("def run(data): return DATA\n")
    with pytest.raises(SnapshotError, match="changed"):
        materialise_models([model], tmp_path / "m", tmp_path / "sets")
    assert list((tmp_path / "m" / "blobs").iterdir()) == []
