"""Snapshots name content, refuse what cannot be packed, and say why."""

import os
import socket
import tempfile
from pathlib import Path

import pytest
from modelyard.api import SnapshotError, SnapshotLimits
from modelyard.packaging import Snapshot, take_model, take_snapshot, taking
from modelyard.packaging.walking import Found

LIMITS = SnapshotLimits()


@pytest.fixture
def folder(tmp_path: Path):
    (tmp_path / "project" / "pkg").mkdir(parents=True)
    (tmp_path / "project" / "score.py").write_text("def run(data): return data\n")
    (tmp_path / "project" / "pkg" / "a.py").write_text("a\n")
    return tmp_path / "project"


def paths(snapshot: Snapshot):
    return [entry.path for entry in snapshot.files]


def refusal(folder: Path, limits: SnapshotLimits = LIMITS):
    with pytest.raises(SnapshotError) as caught:
        take_snapshot(folder, limits)
    assert caught.value.remedy
    return caught.value


def test_the_same_content_has_the_same_digest_wherever_and_whenever(folder: Path, tmp_path: Path):
    first = take_snapshot(folder, LIMITS)
    (tmp_path / "copy" / "pkg").mkdir(parents=True)
    for path in paths(first):
        (tmp_path / "copy" / path).write_bytes((folder / path).read_bytes())
        os.utime(tmp_path / "copy" / path, (1, 1))
    assert take_snapshot(tmp_path / "copy", LIMITS) == first


@pytest.mark.parametrize("change", ["content", "name", "mode"])
def test_any_change_that_matters_changes_the_digest(folder: Path, change: str):
    first = take_snapshot(folder, LIMITS)
    script = folder / "score.py"
    if change == "content":
        script.write_text("other")
    elif change == "name":
        script.rename(folder / "other.py")
    else:
        script.chmod(0o755)
    assert take_snapshot(folder, LIMITS).digest != first.digest


def test_amlignore_replaces_gitignore_and_names_what_it_left_out(folder: Path):
    (folder / ".gitignore").write_text("score.py\n")
    (folder / ".amlignore").write_text("pkg/\n")
    snapshot = take_snapshot(folder, LIMITS)
    assert snapshot.ignore_file == ".amlignore"
    assert snapshot.left_out == ("pkg/",)
    assert snapshot.holds("score.py")
    assert not snapshot.holds("pkg/a.py")


def test_an_ignore_file_below_the_top_folder_rules_nothing(folder: Path):
    (folder / "pkg" / ".gitignore").write_text("a.py\n")
    assert "pkg/a.py" in paths(take_snapshot(folder, LIMITS))


def test_a_relative_link_inside_is_stored_as_the_file_it_points_to(folder: Path):
    (folder / "pkg" / "link.py").symlink_to("../score.py")
    entries = {entry.path: entry for entry in take_snapshot(folder, LIMITS).files}
    assert entries["pkg/link.py"].digest == entries["score.py"].digest


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/etc/passwd", "absolute"),
        ("../secret", "leaves the folder"),
        ("pkg/../../secret", "leaves the folder"),
        ("nowhere", "leads nowhere"),
        ("link", "circles"),
        ("pkg", "link to a folder"),
    ],
)
def test_a_link_that_leads_elsewhere_is_refused_by_name(folder: Path, target: str, message: str):
    (folder.parent / "secret").write_text("s")
    (folder / "link").symlink_to(target)
    error = refusal(folder)
    assert error.place == "link"
    assert message in error.message


def test_a_link_through_a_linked_folder_to_the_outside_is_refused(folder: Path):
    (folder.parent / "outside").mkdir()
    (folder.parent / "outside" / "secret").write_text("s")
    (folder / "pkg" / "door").symlink_to("../../outside")
    (folder / ".amlignore").write_text("pkg/door\n")
    (folder / "link").symlink_to("pkg/door/secret")
    assert refusal(folder).place == "link"


def test_a_fifo_is_refused_without_hanging(folder: Path):
    os.mkfifo(folder / "pipe")
    error = refusal(folder)
    assert error.place == "pipe"
    assert "FIFO" in error.message


def test_an_ignore_file_that_is_a_fifo_is_refused_without_hanging(folder: Path):
    os.mkfifo(folder / ".amlignore")
    assert refusal(folder).place == ".amlignore"


def test_a_socket_is_refused():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        assert "socket" in refusal(Path(folder)).message


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", b"bell\x07"])
def test_names_that_cannot_be_shown_are_refused(folder: Path, name: bytes):
    with open(os.fsencode(folder) + b"/" + name, "wb"):  # noqa: PTH123  a name that is no text
        pass
    refusal(folder)


def test_something_odd_that_is_ignored_does_no_harm(folder: Path):
    os.mkfifo(folder / "pipe")
    (folder / ".amlignore").write_text("pipe\n")
    assert take_snapshot(folder, LIMITS).left_out == ("pipe",)


def test_too_many_files_are_refused_naming_where_they_are(folder: Path):
    for number in range(5):
        (folder / "pkg" / f"{number}.txt").touch()
    error = refusal(folder, SnapshotLimits(max_files=3))
    assert "3 are allowed" in error.message
    assert "pkg (6 files)" in error.message


def test_a_sparse_file_over_the_limit_is_refused_by_its_size_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    with (folder / "big.bin").open("wb") as file:
        file.truncate(10_000_000_000)
    monkeypatch.setattr(taking, "_hashed", None)  # hashing anything would fail
    error = refusal(folder)
    assert "big.bin (10000000000 bytes)" in error.message


def test_exactly_the_limit_is_allowed(folder: Path):
    total = take_snapshot(folder, LIMITS).total_bytes
    assert len(take_snapshot(folder, SnapshotLimits(max_files=2, max_bytes=total)).files) == 2


def test_a_file_that_changes_between_the_walk_and_the_hash_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    check = taking._check_limits

    def grow(found: list[Found], limits: SnapshotLimits) -> None:
        check(found, limits)
        (folder / "score.py").write_text("much longer than it was before\n" * 3)

    monkeypatch.setattr(taking, "_check_limits", grow)
    error = refusal(folder)
    assert (error.place, "changed" in error.message) == ("score.py", True)


def test_a_file_swapped_for_a_link_after_the_walk_does_not_lead_outside(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    (folder.parent / "secret").write_text("s" * 27)
    check = taking._check_limits

    def swap(found: list[Found], limits: SnapshotLimits) -> None:
        check(found, limits)
        (folder / "score.py").unlink()
        (folder / "score.py").symlink_to("../secret")

    monkeypatch.setattr(taking, "_check_limits", swap)
    assert "leaves the folder" in refusal(folder).message


def test_a_missing_folder_is_refused_with_its_path(tmp_path: Path):
    assert refusal(tmp_path / "nothing").place == str(tmp_path / "nothing")


def test_folders_nested_without_end_are_refused(tmp_path: Path):
    deep = tmp_path
    for _ in range(102):
        deep = deep / "d"
    deep.mkdir(parents=True)
    assert "deep" in refusal(tmp_path).message


def test_a_model_file_is_a_snapshot_of_just_that_file(folder: Path):
    (folder / "model.pkl").write_bytes(b"weights")
    assert paths(take_model(folder / "model.pkl")) == ["model.pkl"]


def test_a_model_folder_keeps_everything_ignore_files_and_all(folder: Path):
    (folder / ".amlignore").write_text("*\n")
    assert paths(take_model(folder)) == [".amlignore", "pkg/a.py", "score.py"]


def test_a_missing_or_empty_model_is_refused(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nothing", tmp_path / "empty"):
        with pytest.raises(SnapshotError):
            take_model(path)
