"""Laying conda environments out: what the prefix will hold, the same wherever and whenever it is made."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import attrs
import pytest
from modelyard.environments import Interpreter, lay_out_conda
from modelyard.environments.conda import fetching
from modelyard.processes import Home, find_home

from engine.tests.environments.test_laying_out import snapshot

from .conftest import PREFIX, Conda, left
from .making import LIBTINY, PURELY, Made, write_channel
from .serving import serving


def test_the_tree_is_what_the_prefix_will_hold(
    conda: Conda, channel: Path, minor: str, interpreter: Interpreter
):
    tree = conda.lay(conda.spec("purely", channels=(channel,)))
    site, tag = f"lib/python{minor}/site-packages", f"cpython-{minor.replace('.', '')}"
    files = [name for name, fact in snapshot(tree).items() if not isinstance(fact, int)]
    assert sorted(files) == sorted(
        [
            *("bin/python", f"bin/python{minor}", "bin/tiny", "bin/purely", "bin/purely-old"),
            *("bin/.libtiny-post-link.sh", "etc/tiny.conf", "lib/libtiny.so", f"lib/libpython{minor}.so.1.0"),
            *(f"lib/python{minor}/os.py", f"lib/python{minor}/__pycache__/os.{tag}.pyc"),
            *(f"{site}/purely/__init__.py", f"{site}/purely/__pycache__/__init__.{tag}.pyc"),
            *(f"{site}/purely-2.0.dist-info/METADATA", "conda-meta/history"),
            *("conda-meta/libtiny-1.0-0.json", "conda-meta/purely-2.0-0.json"),
            f"conda-meta/python-{interpreter.version}-h0_cpython.json",
        ]
    )


def test_the_prefix_stands_in_texts_and_in_binaries_of_the_same_length(
    conda: Conda, channel: Path, minor: str
):
    tree = conda.lay(conda.spec("purely", channels=(channel,)))
    assert (tree / "etc/tiny.conf").read_text() == f"home = {PREFIX}\n"
    assert (tree / "bin/tiny").read_text().startswith(f"#!{PREFIX}/bin/python\n")
    assert (tree / "bin/purely").read_text().startswith(f"#!{PREFIX}/bin/python{minor}\n")
    binary = (tree / "lib/libtiny.so").read_bytes()
    assert binary.startswith(b"\0\1begin" + str(PREFIX).encode() + b"/lib\0")
    original = LIBTINY.files["lib/libtiny.so"]
    assert isinstance(original, bytes)
    assert (len(binary), binary[-3:]) == (len(original), b"end")


def test_the_same_lock_gives_the_same_tree(
    conda: Conda, channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec = conda.spec("purely", channels=(channel,))
    lock = conda.solve(spec)
    first = conda.lay(spec, lock=lock, tree="here/one")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    other = find_home({"MODELYARD_HOME": str(tmp_path / "another-home")})
    shuffled = attrs.evolve(spec, wanted=spec.wanted[::-1])
    umask = os.umask(0o077)
    try:
        second = conda.lay(shuffled, lock=lock, tree="another/longer/place/two", home=other)
    finally:
        os.umask(umask)
    assert snapshot(first) == snapshot(second)


def test_of_packages_with_the_same_file_the_same_one_wins_every_time(conda: Conda, tmp_path: Path):
    some = [Made(name, files={"share/x": f"of {name}\n"}) for name in ("zebra", "ape", "lion")]
    spec = conda.spec("zebra", "ape", "lion", channels=(write_channel(tmp_path / "c", *some),))
    first, second = (conda.lay(spec, tree=name) for name in ("one", "two"))
    assert snapshot(first) == snapshot(second)
    winner = (first / "share/x").read_text().split()[-1]
    assert [path.name for path in first.iterdir() if path.name not in ("share", "conda-meta")] == []
    files = {
        one.name.partition("-")[0]: json.loads(one.read_text())["files"]
        for one in first.glob("conda-meta/*.json")
    }
    assert files == {name: ["share/x"] if name == winner else [] for name in ("zebra", "ape", "lion")}
    told = {line for line in conda.lines if line.startswith("left out:")}
    assert told == {
        f"left out: {name}/share/x, for another package has it too" for name in files if name != winner
    }


def test_nothing_of_this_machine_is_in_the_tree(conda: Conda, channel: Path, tmp_path: Path):
    with serving(channel) as served:
        tree = conda.lay(conda.spec("purely", channels=(served.url,)))
    held = {name: fact[1] for name, fact in snapshot(tree).items() if isinstance(fact, tuple)}
    assert not [name for name, content in held.items() if str(tmp_path).encode() in content]
    record = json.loads((tree / "conda-meta/purely-2.0-0.json").read_text())
    assert record["url"] == f"{served.url}/noarch/purely-2.0-0.conda"
    assert (record["channel"], record["requested_specs"]) == (served.url, [])
    assert not {"link", "extracted_package_dir", "package_tarball_full_path", "timestamp"} & set(record)
    assert (tree / "conda-meta/history").read_bytes() == b""


def test_records_name_no_file_that_is_not_there(conda: Conda, channel: Path, interpreter: Interpreter):
    tree = conda.lay(conda.spec("purely", channels=(channel,)))
    record = json.loads((tree / f"conda-meta/python-{interpreter.version}-h0_cpython.json").read_text())
    listed = [one["_path"] for one in record["paths_data"]["paths"]]
    assert sorted(listed) == sorted(record["files"])
    assert [name for name in listed if not os.path.lexists(tree / name)] == []


def test_no_script_of_a_package_is_run_and_it_is_told(conda: Conda, channel: Path):
    tree = conda.lay(conda.spec("libtiny", channels=(channel,)))
    assert not (tree / "was-run").exists()
    assert "not run: bin/.libtiny-post-link.sh; what it would do is not in the image" in conda.lines


def test_an_environment_without_python_and_one_of_nothing_are_laid_out(conda: Conda, channel: Path):
    assert (conda.lay(conda.spec("libtiny", channels=(channel,))) / "lib/libtiny.so").is_file()
    empty = conda.lay(conda.spec(channels=(channel,)), tree="empty")
    assert [path.name for path in empty.rglob("*")] == ["conda-meta", "history"]


def test_a_folder_whose_name_looks_like_a_token_is_one_like_any_other(conda: Conda, tmp_path: Path):
    channel = write_channel(tmp_path / "t" / "tk-1", LIBTINY)
    tree = conda.lay(conda.spec("libtiny", channels=(channel,)))
    record = json.loads((tree / "conda-meta/libtiny-1.0-0.json").read_text())
    assert record["channel"] == channel.as_uri()


def test_a_package_is_fetched_once_for_all_environments(conda: Conda, channel: Path):
    with serving(channel) as served:
        conda.lay(conda.spec("libtiny", channels=(served.url,)))
        conda.lay(conda.spec("purely", channels=(served.url,)), tree="two")
    assert sorted(served.archives()).count("libtiny-1.0-0.tar.bz2") == 1


def test_a_package_that_is_cut_off_is_fetched_again(conda: Conda, channel: Path):
    with serving(channel, fails=2) as served:
        tree = conda.lay(conda.spec("libtiny", channels=(served.url,)))
    assert (tree / "lib/libtiny.so").is_file()
    assert [line for line in conda.lines if "was cut off and is fetched again" in line]


def test_a_package_that_does_not_go_on_is_fetched_again(
    conda: Conda, channel: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetching, "_STALL_SECONDS", 0.3)
    with serving(channel, stalls=1) as served:
        tree = conda.lay(conda.spec("libtiny", channels=(served.url,)))
    assert (tree / "lib/libtiny.so").is_file()
    assert len(served.archives()) == 2


def test_a_second_run_replaces_the_tree_and_sweeps_what_killed_ones_left(
    conda: Conda, channel: Path, tmp_path: Path, home: Home
):
    spec = conda.spec("libtiny", channels=(channel,))
    before = snapshot(conda.lay(spec))
    for folder in (tmp_path / "work/.laying-tree-abcd", home.conda / "packages/.arriving"):
        folder.mkdir()
        (folder / "half").write_text("x")
    conda.lay(conda.spec(channels=(channel,)))
    assert snapshot(conda.lay(spec)) == before
    assert left(tmp_path) == ["tree"]
    assert not (home.conda / "packages/.arriving").exists()


@pytest.mark.parametrize("when", ["fetching", "laying out"])
def test_a_run_that_is_cancelled_leaves_nothing_and_nothing_goes_on(
    conda: Conda, channel: Path, tmp_path: Path, home: Home, when: str
):
    write_channel(channel, Made("large", files={"share/large": os.urandom(20_000_000)}))
    spec = conda.spec("large", channels=(channel,))
    lock = conda.solve(spec)

    async def cancelled() -> None:
        def watch(line: str) -> None:
            if line.startswith(when):
                asyncio.get_running_loop().call_later(0.05, task.cancel)

        task = asyncio.ensure_future(
            lay_out_conda(
                lock,
                tmp_path / "work/tree",
                prefix=PREFIX,
                spec=spec,
                home=home,
                settings=conda.settings,
                on_line=watch,
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert left(tmp_path) == []
    assert not (home.conda / "packages/.arriving").exists()


_KILLED = """
import asyncio, sys
from pathlib import Path, PurePosixPath
from modelyard.environments import CondaSettings, CondaSpec, lay_out_conda, parse_conda_lock
from modelyard.processes import find_home
root, lock = Path(sys.argv[1]), parse_conda_lock(Path(sys.argv[2]).read_text(), spec_key="s")
asyncio.run(lay_out_conda(
    lock, root / "work/tree", prefix=PurePosixPath("/opt/modelyard/conda"), spec=CondaSpec((), ()),
    home=find_home({"MODELYARD_HOME": str(root / "home")}),
    settings=CondaSettings(alias="https://a.invalid", channels=("file:///",)),
    on_line=lambda line: print(line, flush=True),
))
"""


def test_a_run_that_is_killed_shows_nothing_and_the_next_one_is_whole(
    conda: Conda, channel: Path, tmp_path: Path
):
    write_channel(channel, Made("large", files={f"share/{n}": os.urandom(1_000_000) for n in range(40)}))
    spec = conda.spec("large", channels=(channel,))
    lock = conda.solve(spec)
    text = tmp_path / "lock.jsonl"
    text.write_text(lock.text)
    argv = [sys.executable, "-c", textwrap.dedent(_KILLED), str(tmp_path), str(text)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("laying out"):
                break
        process.send_signal(signal.SIGKILL)
    assert "tree" not in left(tmp_path)
    assert (conda.lay(spec, lock=lock) / "share/39").stat().st_size == 1_000_000
    assert left(tmp_path) == ["tree"]


def test_many_who_want_one_tree_take_turns(conda: Conda, channel: Path, tmp_path: Path, home: Home):
    spec = conda.spec("purely", channels=(channel,))
    lock = conda.solve(spec)

    async def all_at_once() -> None:
        folder = tmp_path / "work/tree"
        more = {"prefix": PREFIX, "spec": spec, "home": home, "settings": conda.settings}
        await asyncio.gather(*(lay_out_conda(lock, folder, **more) for _ in range(4)))  # type: ignore[arg-type]

    asyncio.run(all_at_once())
    assert (tmp_path / "work/tree/bin/purely").is_file()
    assert left(tmp_path) == ["tree"]


def test_scripts_of_purely_are_as_its_archive_has_them(conda: Conda, channel: Path):
    tree = conda.lay(conda.spec("purely", channels=(channel,)))
    assert PURELY.entry_points
    assert os.access(tree / "bin/purely", os.X_OK)
    assert os.access(tree / "bin/purely-old", os.X_OK)
