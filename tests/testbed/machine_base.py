"""A base image made of this machine's own Python, for tests: no network, no tool, a few seconds.

It holds the interpreter where it lies here (so that all it was built with stays true), the standard library
without its tests, libpython, every shared library that these, Envoy and packages with C++ in them need,
busybox or a few programs, and a user file. Links: /usr/local/bin/python3.11, python3 and python.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
from modelyard.api import Artifact, BasePython, Descriptor, Registry
from modelyard.environments.interpreters import probe
from modelyard.images import platform_of
from modelyard.images.configs import CONFIG_TYPE
from modelyard.images.layers import TAR_TYPE
from modelyard.processes import FileLock
from modelyard.router import envoy_binary

REPOSITORY = "base/machine"
TAG = "1"
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = PurePosixPath(f"/usr/local/bin/python{MINOR}")
_FOLDERS_LEFT_OUT = frozenset(
    (
        "test",
        "tests",
        "idlelib",
        "lib2to3",
        "tkinter",
        "turtledemo",
        "ensurepip",
        "site-packages",
        "dist-packages",
    )
)
_FILES_LEFT_OUT = re.compile(r"_tkinter\..*|_test.*\.so|.*\.opt-[12]\.pyc|.*\.a")
_WHEELS_LIBRARIES = (
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "librt.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "libutil.so.1",
)
"""What the standard for wheels lets them expect of the system, beside what Python itself loads."""
_PROGRAMS = (
    "sh",
    "cat",
    "echo",
    "env",
    "id",
    "ls",
    "mkdir",
    "sleep",
    "touch",
    "true",
    "wc",
    "head",
    "dd",
    "kill",
)
_PASSWD = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nmodelyard:x:65532:65532::/tmp:/bin/false\n"
_GROUP = "root:x:0:\nmodelyard:x:65532:\nnogroup:x:65534:\n"


@attrs.frozen
class MachineBase:
    """The one layer, as a file, with its digest."""

    layer: Path
    diff_id: str

    async def push(self, registry: Registry, *, repository: str = REPOSITORY, tag: str = TAG) -> Descriptor:
        """Store the image in a registry; quick where its layer is there already."""
        if await registry.has_blob(repository, self.diff_id):
            layer = Descriptor(TAR_TYPE, self.diff_id, self.layer.stat().st_size)
        else:
            layer = await registry.push_blob(repository, self.layer, TAR_TYPE)
        config = await registry.push_blob(repository, json.dumps(self._config()).encode(), CONFIG_TYPE)
        return await registry.push(repository, Artifact(CONFIG_TYPE, (layer,), config=config), tag=tag)

    def _config(self) -> dict[str, Any]:
        return {
            "architecture": platform_of(platform.machine()).architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"], "Cmd": ["python3"]},
            "rootfs": {"type": "layers", "diff_ids": [self.diff_id]},
            "history": [{"created_by": "this machine"}],
        }


def machine_base(folder: Path) -> MachineBase:
    """Write the layer into a folder, or find it there; processes that want it at once make it once."""
    with FileLock(folder / "machine-base.lock", timeout_seconds=300):
        layer, told = folder / "machine-base.tar", folder / "machine-base.digest"
        if not told.exists():
            told.write_text(_write(layer))
        return MachineBase(layer, told.read_text())


def machine_python() -> BasePython:
    """Describe the Python in the image."""
    found = probe(Path(sys.executable))
    assert found is not None
    return BasePython(
        PYTHON, found.version, found.abi, found.libc, platform.machine(), found.shared_libpython
    )


def _write(layer: Path) -> str:
    with layer.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tree = _Tree(tar)
        files = sorted(_files())
        for path in files:
            tree.add_file(path)
        for name in (f"python{MINOR}", "python3", "python"):
            tree.add_link(f"usr/local/bin/{name}", str(_interpreter()))
        tree.add_programs()
        tree.add_text("etc/passwd", _PASSWD)
        tree.add_text("etc/group", _GROUP)
        for place in ("dev", "proc", "sys", "run", "usr/bin", "var/tmp", "tmp"):
            tree.add_folder(place)
    with layer.open("rb") as written:
        return f"sha256:{hashlib.file_digest(written, 'sha256').hexdigest()}"


class _Tree:
    """Writes a layer: every folder before what it holds, owner 0, times kept, for byte code names them."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._known: set[str] = set()

    def add_file(self, path: Path, place: str = "") -> None:
        place = place or str(path).lstrip("/")
        if path.is_symlink() and "/" not in (target := str(path.readlink())):
            self.add_link(place, target)
            self.add_file(path.with_name(target))
            return
        if not self._is_new(place):
            return
        facts = path.stat()
        info = tarfile.TarInfo(place)
        info.size, info.mtime = facts.st_size, int(facts.st_mtime)
        info.mode = 0o755 if facts.st_mode & 0o100 else 0o644
        with path.open("rb") as content:
            self._tar.addfile(info, content)

    def add_link(self, place: str, target: str) -> None:
        if self._is_new(place):
            info = tarfile.TarInfo(place)
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
            self._tar.addfile(info)

    def add_text(self, place: str, text: str) -> None:
        if self._is_new(place):
            info = tarfile.TarInfo(place)
            info.size, info.mode = len(text), 0o644
            self._tar.addfile(info, io.BytesIO(text.encode()))

    def add_folder(self, place: str) -> None:
        if self._is_new(place):
            info = tarfile.TarInfo(place)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if place.endswith("tmp") else 0o755
            self._tar.addfile(info)

    def add_programs(self) -> None:
        busybox = _static_busybox()
        if busybox:
            self.add_file(busybox, "bin/busybox")
        for name in _PROGRAMS:
            if busybox:
                self.add_link(f"bin/{name}", "busybox")
            elif found := shutil.which(name):
                self.add_file(Path(found), f"bin/{name}")

    def _is_new(self, place: str) -> bool:
        if place in self._known:
            return False
        self._known.add(place)
        above = place.rpartition("/")[0]
        if above:
            self.add_folder(above)
        return True


def _files() -> Iterator[Path]:
    library = Path(sysconfig.get_path("stdlib"))
    modules = list(_below(library))
    loading = [
        _interpreter(),
        *_libpython(),
        envoy_binary(),
        *(one for one in modules if one.suffix == ".so"),
    ]
    if _static_busybox() is None:
        loading += [Path(found) for name in _PROGRAMS if (found := shutil.which(name))]
    yield from modules
    yield from (_interpreter(), *_libpython())
    yield from _needed_by(loading)


def _below(library: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(library):
        names[:] = [one for one in names if one not in _FOLDERS_LEFT_OUT and not one.startswith("config-")]
        yield from (Path(folder, name) for name in files if not _FILES_LEFT_OUT.fullmatch(name))


def _interpreter() -> Path:
    return Path(os.path.realpath(sys.executable))


def _libpython() -> list[Path]:
    folder, names = sysconfig.get_config_var("LIBDIR"), ("INSTSONAME", "LDLIBRARY")
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    places = [
        Path(folder, inner, sysconfig.get_config_var(name) or "")
        for inner in ("", multiarch)
        for name in names
    ]
    return [place for place in dict.fromkeys(places) if place.is_file() and ".so" in place.name]


def _needed_by(programs: Iterable[Path]) -> set[Path]:
    """Ask the loader, with a program that needs whatever wheels may expect."""
    told = subprocess.run(
        ["/usr/bin/ldd", *map(str, programs)], check=False, capture_output=True, text=True
    ).stdout
    found = {Path(path) for path in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", told, re.MULTILINE)}
    listed = subprocess.run(["/sbin/ldconfig", "-p"], check=False, capture_output=True, text=True).stdout
    for name in _WHEELS_LIBRARIES:
        found.update(
            Path(path) for path in re.findall(rf"^\s*{re.escape(name)} .*=> (\S+)$", listed, re.MULTILINE)[:1]
        )
    return found


def _static_busybox() -> Path | None:
    found = shutil.which("busybox")
    if found is None:
        return None
    told = subprocess.run(["/usr/bin/ldd", found], check=False, capture_output=True, text=True)
    return Path(found) if told.returncode else None


async def _push_main(folder: Path) -> None:
    from modelyard_registry.layout import OciLayoutRegistry

    sys.stdout.write((await machine_base(folder).push(OciLayoutRegistry(folder / "registry"))).digest + "\n")


if __name__ == "__main__":
    asyncio.run(_push_main(Path(sys.argv[1])))
