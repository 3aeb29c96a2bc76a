"""Laying out: the tree that an image will hold, the same wherever and whenever it is made."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import stat
from pathlib import Path

import pytest
from modelyard.api import BasePython
from modelyard.environments import RuntimeWheel
from modelyard.processes import run_quickly

from .conftest import LayOut, write_wheel


def snapshot(tree: Path) -> dict[str, object]:
    return {str(path.relative_to(tree)): facts(path) for path in [tree, *tree.rglob("*")]}


def facts(path: Path) -> object:
    if path.is_symlink():
        return str(path.readlink())
    mode = stat.S_IMODE(path.stat().st_mode)
    return (mode, path.read_bytes()) if path.is_file() else mode


def said(*argv: Path | str) -> str:
    done = run_quickly([str(one) for one in argv], timeout_seconds=20)
    assert done.status == 0, done.output_tail
    return done.output_tail


def test_the_tree_is_what_the_prefix_will_hold(lay: LayOut, tooly: Path, base: BasePython):
    tree = lay(tooly)
    minor, tag = base.minor, f"cpython-{base.minor.replace('.', '')}"
    info = f"lib/python{minor}/site-packages/tooly-1.0.dist-info"
    package = f"lib/python{minor}/site-packages/tooly"
    assert [name for name, fact in sorted(snapshot(tree).items()) if not isinstance(fact, int)] == sorted(
        [
            *(
                "bin/python",
                "bin/python3",
                f"bin/python{minor}",
                "bin/tooly",
                "bin/tooly-old",
                "bin/tooly-sh",
            ),
            *("lib64", "pyvenv.cfg", "share/tooly/table.txt", f"include/site/python{minor}/tooly/tooly.h"),
            *(f"{info}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL", "entry_points.txt")),
            *(f"{package}/{name}.py" for name in ("__init__", "__main__", "old")),
            *(f"{package}/__pycache__/{name}.{tag}.pyc" for name in ("__init__", "__main__")),
        ]
    )


def test_the_same_lock_gives_the_same_tree(
    lay: LayOut, tooly: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mathy = index / "mathy-1.0-py3-none-any.whl"
    first = lay(tooly, mathy, tree="here/one")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    monkeypatch.setenv("UV_CONCURRENT_INSTALLS", "1")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    os.utime(tooly, (1, 1))
    umask = os.umask(0o077)
    try:
        second = lay(mathy, tooly, tree="another/longer/place/two")
    finally:
        os.umask(umask)
    assert snapshot(first) == snapshot(second)


def test_files_are_shared_with_uvs_cache_which_stays_as_it_is(
    lay: LayOut, tooly: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: BasePython
):
    rival = write_wheel(index, "rival", "1.0", more={"tooly/__init__.py": "VERSION = 'rival'\n"})
    cache = tmp_path / "cache"
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))
    tree = lay(tooly, rival)
    assert (tree / f"lib/python{base.minor}/site-packages/rival/__init__.py").stat().st_nlink > 1
    kept = snapshot(cache / "archive-v0")
    umask = os.umask(0o077)
    try:
        lay(tooly, rival)
    finally:
        os.umask(umask)
    assert snapshot(cache / "archive-v0") == kept


def test_a_folder_whose_files_cannot_be_shared_gets_copies(
    lay: LayOut, tooly: Path, monkeypatch: pytest.MonkeyPatch
):
    shared = snapshot(lay(tooly, tree="one"))
    monkeypatch.setenv("UV_LINK_MODE", "copy")  # what uv falls back to
    monkeypatch.setattr("modelyard.environments.laying_out._LINKED", ())
    assert snapshot(lay(tooly, tree="two")) == shared


def test_it_runs_at_its_prefix_from_compiled_code(lay: LayOut, tooly: Path, tmp_path: Path, base: BasePython):
    prefix = tmp_path / "opt" / "env"
    prefix.parent.mkdir()
    lay(tooly, prefix=str(prefix)).rename(prefix)
    package = prefix / f"lib/python{base.minor}/site-packages/tooly"
    # Neither the source's time nor its text is looked at: what runs is what was compiled.
    os.utime(package / "__main__.py", (0, 0))
    (package / "__init__.py").unlink()  # uv's cache has the same file
    (package / "__init__.py").write_text("VERSION = 'edited'\n")
    assert said(prefix / "bin/tooly") == "tooly runs"
    assert said(prefix / "bin/tooly-old") == f"1.0 {prefix}"
    assert said(prefix / "bin/tooly-sh") == "shell"
    where = "import tooly.__main__ as m; print(m.main.__code__.co_filename)"
    assert said(prefix / "bin/python", "-I", "-c", where) == f"{package}/__main__.py"


def test_its_scripts_run_below_a_path_too_long_for_a_shebang(lay: LayOut, tooly: Path, tmp_path: Path):
    prefix = tmp_path / ("long " + "x" * 130) / "env"
    prefix.parent.mkdir()
    lay(tooly, prefix=str(prefix)).rename(prefix)
    assert said(prefix / "bin/tooly") == "tooly runs"
    assert said(prefix / "bin/tooly-old") == f"1.0 {prefix}"


def test_an_environment_of_nothing_runs_too(lay: LayOut, tmp_path: Path):
    prefix = tmp_path / "env"
    lay(prefix=str(prefix)).rename(prefix)
    assert said(prefix / "bin/python", "-I", "-c", "import sys; print(sys.prefix)") == str(prefix)


def test_the_runtime_is_laid_out_with_it_and_its_place_is_not_told(
    lay: LayOut, tooly: Path, runtime: RuntimeWheel, tmp_path: Path, base: BasePython
):
    tree = lay(tooly, runtime=runtime)
    assert (tree / f"lib/python{base.minor}/site-packages/modelyard_runtime/__init__.py").is_file()
    held = (fact[1] for fact in snapshot(tree).values() if isinstance(fact, tuple))
    assert not [content for content in held if str(tmp_path).encode() in content]


def test_records_are_true_and_complete(lay: LayOut, tooly: Path, base: BasePython):
    tree = lay(tooly)
    site = tree / f"lib/python{base.minor}/site-packages"
    listed = list(csv.reader((site / "tooly-1.0.dist-info/RECORD").read_text().splitlines()))
    for path, digest, size in listed:
        if not path.endswith("RECORD"):
            content = (site / path).read_bytes()
            hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={hashed}", str(len(content))), path
    names = {os.path.relpath(site / path, tree) for path, _, _ in listed}
    assert names == {
        name
        for name, fact in snapshot(tree).items()
        if isinstance(fact, tuple) and not name.endswith((".pyc", "pyvenv.cfg"))
    }


def test_of_two_packages_with_the_same_file_the_later_by_name_wins(
    lay: LayOut, index: Path, base: BasePython
):
    wheels = [
        write_wheel(index, name, "1.0", more={"tests/__init__.py": f"OF = {name!r}\n"})
        for name in ("zebra", "aardvark", "lion")
    ]
    lines: list[str] = []
    tree = lay(*wheels, on_line=lines.append)
    site = tree / f"lib/python{base.minor}/site-packages"
    assert (site / "tests/__init__.py").read_text() == "OF = 'zebra'\n"
    assert all((site / name / "__init__.py").is_file() for name in ("zebra", "aardvark", "lion"))
    assert any("zebra brings files that another package brings too" in line for line in lines)


def test_progress_names_the_base_and_what_does_not_compile(lay: LayOut, tooly: Path, base: BasePython):
    lines: list[str] = []
    lay(tooly, on_line=lines.append)
    assert f"laying out 1 packages at /opt/env for {base.shown}" in lines
    assert any(line.startswith("not compiled: /opt/env/lib/") and "tooly/old.py" in line for line in lines)


def test_wheels_are_those_of_the_base_not_of_this_machine(
    lay: LayOut, index: Path, arm: BasePython, base: BasePython
):
    tag = f"{base.abi}-{base.abi}-manylinux_2_31_"
    theirs = write_wheel(index, "native", "1.0", tag=f"{tag}aarch64")
    write_wheel(index, "native", "1.0", tag=f"{tag}x86_64")
    tree = lay(theirs, python=arm)
    assert (tree / "bin/python").readlink() == Path("/usr/local/bin/python3")
    assert f"version = {base.minor}.99" in (tree / "pyvenv.cfg").read_text()
    (wheel,) = tree.glob("lib/*/site-packages/native-1.0.dist-info/WHEEL")
    assert f"Tag: {tag}aarch64" in wheel.read_text()
