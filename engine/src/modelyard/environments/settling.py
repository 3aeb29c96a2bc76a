"""Settle an installed tree at its prefix: scripts, links, modes, and nothing that names this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from modelyard.environments.bases import Place
from modelyard.environments.prefixes import links, moved, pyvenv_cfg
from modelyard.environments.rewriting import change_mode, rewrite

_LEFT_BY_UV = ("REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json")
"""Times, addresses and paths of this installation; INSTALLER says `uv` every time and stays."""
_PLAIN, _RUNS = 0o644, 0o755


def make_frame(tree: Path, place: Place) -> None:
    """Make the folders before anything is installed, `lib64` too: this machine's Python may install there."""
    (tree / "bin").mkdir(parents=True)
    (tree / place.site).mkdir(parents=True)
    (tree / "lib64").symlink_to("lib")


def settle(tree: Path, place: Place, installed_by: Path) -> None:
    """Make an installed tree's scripts, links and facts those of its place."""
    (tree / ".lock").unlink(missing_ok=True)
    for cache in list(tree.rglob("__pycache__")):
        shutil.rmtree(cache)
    for info in (tree / place.site).glob("*.dist-info"):
        for name in _LEFT_BY_UV:
            (info / name).unlink(missing_ok=True)
    for script in (tree / "bin").iterdir():
        if script.is_file():
            _move_script(script, place, installed_by)
    rewrite(tree / "pyvenv.cfg", pyvenv_cfg(place).encode())
    for name, target in links(place).items():
        (tree / name).unlink(missing_ok=True)
        (tree / name).symlink_to(target)


def fix_modes(tree: Path) -> None:
    """Give every folder and file one of two modes, whatever the umask: 0755 where anybody may run it."""
    waiting = [tree]
    while waiting:
        folder = waiting.pop()
        folder.chmod(_RUNS)
        with os.scandir(folder) as found:
            for one in found:
                if one.is_dir(follow_symlinks=False):
                    waiting.append(Path(one.path))
                elif one.is_file(follow_symlinks=False):
                    facts = one.stat(follow_symlinks=False)
                    change_mode(Path(one.path), facts, _RUNS if facts.st_mode & 0o111 else _PLAIN)


def _move_script(script: Path, place: Place, installed_by: Path) -> None:
    with script.open("rb") as file:
        if file.read(2) != b"#!":
            return  # a program: some weigh megabytes
    content = script.read_bytes()
    if (new := moved(content, old=installed_by, new=place.python)) != content:
        rewrite(script, new, mode=_RUNS)
