"""Laying conda environments out that cannot be: the cause is told, and nothing half made is ever to be seen."""

from __future__ import annotations

import errno
from pathlib import Path, PurePosixPath

import attrs
import pytest
from modelyard.api import Conflict, EnvironmentUnsolvable, SystemError_, Unavailable
from modelyard.environments import CondaLock, Interpreter
from modelyard.environments.conda import fetching, laying_out
from modelyard.environments.conda.explaining import unlinkable
from modelyard.processes import Home

from engine.tests.environments.test_laying_out import snapshot

from .conftest import Conda, left
from .making import LIBTINY, Link, Made, python_package, write_channel, write_package
from .serving import serving


def test_a_channel_that_always_cuts_off_is_unavailable(
    conda: Conda, channel: Path, tmp_path: Path, home: Home
):
    with serving(channel, fails=99) as served, pytest.raises(Unavailable, match="does not answer"):
        conda.lay(conda.spec("libtiny", channels=(served.url,)))
    assert left(tmp_path) == []
    assert [path.name for path in (home.conda / "packages").iterdir()] == [".lock"]


@pytest.mark.parametrize("how", ["longer", "changed"])
@pytest.mark.parametrize("by", ["http", "folder"])
def test_a_package_that_was_replaced_is_refused(
    conda: Conda, channel: Path, tmp_path: Path, by: str, how: str
):
    with serving(channel) as served:
        spec = conda.spec("libtiny", channels=(served.url if by == "http" else channel,))
        lock = conda.solve(spec)
        path = channel / "linux-64/libtiny-1.0-0.tar.bz2"
        content = path.read_bytes()
        path.write_bytes(content + b"\0" if how == "longer" else content[:-1] + b"\0")
        with pytest.raises(EnvironmentUnsolvable, match="is not the package that was locked") as caught:
            conda.lay(spec, lock=lock)
    assert caught.value.place == lock.packages[0].url
    assert left(tmp_path) == []


def test_what_was_damaged_in_the_cache_is_fetched_again(conda: Conda, channel: Path, home: Home):
    spec = conda.spec("libtiny", channels=(channel,))
    before = snapshot(conda.lay(spec))
    (kept,) = (home.conda / "packages").glob("*/*.tar.bz2")
    write_package(kept.parent.parent, attrs.evolve(LIBTINY, subdir=kept.parent.name, files={"lib/evil": "x"}))
    assert snapshot(conda.lay(spec)) == before


def test_a_package_that_is_gone_is_told(conda: Conda, channel: Path, tmp_path: Path):
    with serving(channel) as served:
        for url, says in ((channel, "not in its channel any more"), (served.url, "is not there: .*404")):
            spec = conda.spec("libtiny", channels=(url,))
            lock = conda.solve(spec)
            archive = channel / "linux-64/libtiny-1.0-0.tar.bz2"
            aside = archive.rename(tmp_path / "aside")
            with pytest.raises(EnvironmentUnsolvable, match=says):
                conda.lay(spec, lock=lock)
            aside.rename(archive)


@pytest.mark.parametrize(
    ("files", "listed", "says"),
    [
        ({"../../escaped": "x"}, (), "cannot be read: invalid package-relative archive path"),
        ({"share/x": "x"}, ("../../work/.tree.lock",), "would lie outside"),
        ({"share/x": "x", "info/paths.json": "{}"}, (), "info/paths.json stands twice"),
        ({"share/x": Link("/etc/passwd")}, (), "leads to '/etc/passwd', outside"),
        ({"share/x": Link("../../../y")}, (), "leads to"),
    ],
)
def test_a_package_that_would_leave_its_prefix_is_refused(
    conda: Conda, tmp_path: Path, files: dict[str, str | bytes | Link], listed: tuple[str, ...], says: str
):
    channel = write_channel(tmp_path / "c", Made("evil", files=files, listed=listed))
    with pytest.raises(EnvironmentUnsolvable, match=f"evil=1.0=0 must not be laid out: .*{says}"):
        conda.lay(conda.spec("evil", channels=(channel,)))
    assert left(tmp_path) == []


def test_a_package_that_would_write_through_a_link_of_another_is_refused(conda: Conda, tmp_path: Path):
    some = Made("one", files={"a/b": Link("../c")}), Made("two", files={"a/b/x": "x"}, depends=("one",))
    with pytest.raises(EnvironmentUnsolvable, match=r"two=1.0=0 has a/b/x, but a/b is a link"):
        conda.lay(conda.spec("two", channels=(write_channel(tmp_path / "c", *some),)))


def test_an_archive_that_is_none_is_told(conda: Conda, channel: Path, tmp_path: Path):
    made = Made("odd")
    (channel / "linux-64/odd-1.0-0.conda").write_bytes(b"no archive at all")
    from .making import _list

    _list(channel, made)
    with pytest.raises(EnvironmentUnsolvable, match=r"odd=1\.0=0 must not be laid out: it cannot be read"):
        conda.lay(conda.spec("odd", channels=(channel,)))
    assert left(tmp_path) == []


def test_a_python_that_nothing_here_compiles_for_is_told_before_anything_is_fetched(
    conda: Conda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def none(python: object) -> Interpreter:
        raise EnvironmentUnsolvable(f"nothing here compiles for {python}")

    monkeypatch.setattr(laying_out, "compiler_for", none)
    channel = write_channel(tmp_path / "c", python_package("3.7.1"))
    with pytest.raises(EnvironmentUnsolvable, match=r"nothing here compiles for .*3\.7\.1"):
        conda.lay(conda.spec("python", channels=(channel,)))
    assert not any("fetching" in line for line in conda.lines)


@pytest.mark.parametrize("where", ["settle", "fix_modes"])
def test_a_full_disk_is_told_and_nothing_is_left(
    conda: Conda, channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(laying_out, where, full)
    with pytest.raises(SystemError_, match="the disk is full"):
        conda.lay(conda.spec("libtiny", channels=(channel,)))
    assert left(tmp_path) == []


def test_a_disk_that_fills_while_a_package_arrives_is_told(
    conda: Conda, channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching._Checked, "write", full)
    with serving(channel) as served:
        for url in (channel, served.url):
            with pytest.raises(SystemError_, match="the disk is full"):
                conda.lay(conda.spec("libtiny", channels=(url,)))
    assert left(tmp_path) == []


def test_a_disk_that_fills_while_packages_are_linked_is_told_with_numbers(tmp_path: Path):
    said = "InstallerError: failed to link x.conda\nCaused by: No space left on device (os error 28)"
    assert "the disk is full: the environment needs more than the 0 bytes" in str(unlinkable(said, tmp_path))


def test_a_tree_that_names_where_it_was_built_is_not_shown(
    conda: Conda, channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def untrue(tree: Path, _: CondaLock) -> None:
        (tree / "leak.txt").write_text(f"built in {tree}")

    monkeypatch.setattr(laying_out, "settle", untrue)
    with pytest.raises(SystemError_, match=r"leak.txt names .*where it was built"):
        conda.lay(conda.spec("libtiny", channels=(channel,)))
    assert left(tmp_path) == []


def test_what_somebody_else_put_there_stays(conda: Conda, channel: Path, tmp_path: Path):
    theirs = tmp_path / "work/tree/thesis.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("years of work")
    with pytest.raises(Conflict, match="something else than an environment"):
        conda.lay(conda.spec("libtiny", channels=(channel,)))
    assert theirs.read_text() == "years of work"


@pytest.mark.parametrize("prefix", ["relative", "/opt/../etc", "/opt/new\nline", "/"])
def test_a_prefix_that_cannot_be_one_is_refused(conda: Conda, channel: Path, prefix: str):
    with pytest.raises(EnvironmentUnsolvable, match="cannot be the folder of an environment"):
        conda.lay(conda.spec("libtiny", channels=(channel,)), prefix=PurePosixPath(prefix))
