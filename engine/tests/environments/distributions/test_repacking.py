"""An installed distribution becomes a wheel again: the one it came from, or it is said why not."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from modelyard.api import BasePython
from modelyard.environments import lay_out, lock_of, read_wheel
from modelyard.environments.distributions.repacking import NotRepackable, repack, revision_of

from engine.tests.environments.conftest import write_wheel
from engine.tests.environments.distributions.conftest import Install

ENTRY = "[console_scripts]\nmathy-run = mathy:VERSION\n"
MORE = {
    "INFO.dist-info/entry_points.txt": ENTRY,
    "mathy/data/table.txt": "1 2\n",
    "INFO.dist-info/licenses/L": "free",
}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    return write_wheel(folder, "mathy", "2.0", requires=("other>=1",), more=MORE)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "repacked"
    folder.mkdir()
    return folder


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as file:
        return {one: file.read(one) for one in file.namelist() if not one.endswith("/RECORD")}


def test_it_holds_what_the_wheel_held_and_nothing_of_the_installer(wheel: Path, into: Path, install: Install):
    made = repack(install(wheel)["mathy"], into)
    assert made.name == wheel.name
    assert contents(made) == contents(wheel)


def test_its_record_is_true(wheel: Path, into: Path, install: Install):
    made = repack(install(wheel)["mathy"], into)
    with zipfile.ZipFile(made) as file:
        rows = list(csv.reader(io.StringIO(file.read("mathy-2.0.dist-info/RECORD").decode())))
        assert {row[0] for row in rows} == set(file.namelist())
        for name, digest, size in rows:
            if name.endswith("/RECORD"):
                assert (digest, size) == ("", "")
                continue
            assert int(size) == len(file.read(name))
            assert digest.startswith("sha256=")


def test_it_is_laid_out_as_the_wheel_itself(
    wheel: Path, into: Path, install: Install, base: BasePython, tmp_path: Path
):
    made = repack(install(wheel)["mathy"], into)

    def tree(name: str, which: Path) -> dict[str, str]:
        folder = tmp_path / name
        prefix = PurePosixPath("/opt/env")
        laying = lay_out(lock_of(""), folder, prefix=prefix, python=base, runtime=None, wheels=[which])
        asyncio.run(laying)
        files = (one for one in folder.rglob("*") if one.is_file() and not one.is_symlink())
        return {str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}

    laid = tree("original", wheel)
    assert "bin/mathy-run" in laid
    assert tree("again", made) == laid


def test_the_same_distribution_gives_the_same_bytes_whenever(wheel: Path, into: Path, install: Install):
    installed = install(wheel)["mathy"]
    first = read_wheel(repack(installed, into)).digest
    for file in installed.files or ():
        os.utime(Path(str(file.locate())), (0, 0))
    assert read_wheel(repack(installed, into)).digest == first


def test_several_tags_come_back_into_its_name(tmp_path: Path, into: Path, install: Install):
    made = write_wheel(tmp_path, "mathy", "1.0", tag="py2.py3-none-any")
    with zipfile.ZipFile(made) as file:
        whole = {one: file.read(one) for one in file.namelist()}
    whole["mathy-1.0.dist-info/WHEEL"] = (
        b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n"
    )
    with zipfile.ZipFile(made, "w") as file:
        for name, content in whole.items():
            file.writestr(name, content)
    assert repack(install(made)["mathy"], into).name == "mathy-1.0-py2.py3-none-any.whl"


def test_one_with_files_beside_its_packages_is_refused_by_the_first(
    tmp_path: Path, into: Path, install: Install
):
    made = write_wheel(tmp_path, "mathy", "1.0", more={"INFO.data/data/share/table.txt": "1\n"})
    with pytest.raises(NotRepackable, match=r"a file beside the packages: \.\./.*share/table\.txt"):
        repack(install(made)["mathy"], into)


def test_one_that_lost_a_file_is_refused(wheel: Path, into: Path, install: Install):
    installed = install(wheel)["mathy"]
    Path(str(installed.locate_file("mathy/data/table.txt"))).unlink()
    with pytest.raises(NotRepackable, match=r"mathy/data/table\.txt cannot be read"):
        repack(installed, into)


def test_a_link_to_sources_is_refused(into: Path):
    from importlib.metadata import distribution

    with pytest.raises(NotRepackable, match="a link to its sources"):
        repack(distribution("modelyard"), into)


@pytest.mark.parametrize(
    ("told", "revision"),
    [
        ({"url": "https://example/x", "vcs_info": {"vcs": "git", "commit_id": "abc123"}}, "abc123"),
        ({"url": "file:///x.whl", "archive_info": {}}, ""),
        ({"vcs_info": None}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_the_revision_is_what_the_installer_wrote_down(
    wheel: Path, install: Install, told: object, revision: str
):
    installed = install(wheel)["mathy"]
    file = Path(str(installed.locate_file("mathy-2.0.dist-info/direct_url.json")))
    file.write_text(json.dumps(told)) if told is not None else file.unlink(missing_ok=True)
    assert revision_of(installed) == revision
