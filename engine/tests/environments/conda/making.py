"""Conda packages as small as they can be, and channels of them: nothing here needs a network."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import zstandard

PLACEHOLDER = f"/opt/placeholder_{'x' * 80}"
"""What a builder wrote into files, where the prefix will stand."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


@attrs.frozen
class Link:
    """A file that is a link."""

    target: str


@attrs.frozen
class Made:
    """A package to write: `files` by path (text, bytes or `Link`), `prefixes` by path (`text` or `binary`)."""

    name: str
    version: str = "1.0"
    build: str = "0"
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    files: Mapping[str, str | bytes | Link] = NOTHING
    prefixes: Mapping[str, str] = NOTHING
    noarch: str = ""
    entry_points: tuple[str, ...] = ()
    subdir: str = ""
    kind: str = ".conda"
    listed: tuple[str, ...] = ()
    placeholder: str = PLACEHOLDER

    @property
    def folder(self) -> str:
        return self.subdir or ("noarch" if self.noarch else "linux-64")

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def index(self) -> dict[str, Any]:
        facts = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": 0,
            "depends": list(self.depends),
            "constrains": list(self.constrains),
            "subdir": self.folder,
        }
        return facts | ({"noarch": self.noarch} if self.noarch else {})


def write_channel(folder: Path, *packages: Made) -> Path:
    """Write packages and what lists them; a package of the same name, version and build replaces an older one."""
    for package in packages:
        write_package(folder, package)
        _list(folder, package)
    for subdir in ("noarch", "linux-64"):
        _listing(folder, subdir)
    return folder


def write_package(folder: Path, package: Made) -> Path:
    """Write the archive alone, as somebody does who replaces it behind the channel's back."""
    path = folder / package.folder / f"{package.stem}{package.kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    info, files = _info(package), dict(package.files)
    if package.kind == ".tar.bz2":
        path.write_bytes(bz2.compress(_tar(info | files)))
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        for part, held in (("pkg", files), ("info", info)):
            content = zstandard.ZstdCompressor().compress(_tar(held))
            archive.writestr(f"{part}-{package.stem}.tar.zst", content)
    return path


def unlist(folder: Path, package: Made, *fields: str) -> None:
    """Take fields out of what a channel says of a package."""
    path, listing = _listing(folder, package.folder)
    for field in fields:
        del listing[_kind(package)][f"{package.stem}{package.kind}"][field]
    path.write_text(json.dumps(listing))


def _info(package: Made) -> dict[str, str | bytes | Link]:
    paths = [_path(package, name, content) for name, content in package.files.items()]
    paths += [{"_path": name, "path_type": "hardlink"} for name in package.listed]
    info: dict[str, str | bytes | Link] = {
        "info/index.json": json.dumps(package.index),
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
        "info/files": "".join(f"{name}\n" for name in package.files),
    }
    if package.noarch == "python":
        noarch = {"type": "python", "entry_points": list(package.entry_points)}
        info["info/link.json"] = json.dumps({"noarch": noarch, "package_metadata_version": 1})
    return info


def _path(package: Made, name: str, content: str | bytes | Link) -> dict[str, Any]:
    data = b"" if isinstance(content, Link) else _bytes(content)
    facts = {
        "_path": name,
        "path_type": "softlink" if isinstance(content, Link) else "hardlink",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_in_bytes": len(data),
    }
    if name in package.prefixes:
        facts |= {"prefix_placeholder": package.placeholder, "file_mode": package.prefixes[name]}
    return facts


def _tar(files: Mapping[str, str | bytes | Link]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755 if name.startswith(("bin/", "python-scripts/")) else 0o644
            if isinstance(content, Link):
                member.type, member.linkname = tarfile.SYMTYPE, content.target
                tar.addfile(member)
            else:
                member.size = len(_bytes(content))
                tar.addfile(member, io.BytesIO(_bytes(content)))
    return output.getvalue()


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _kind(package: Made) -> str:
    return "packages.conda" if package.kind == ".conda" else "packages"


def _list(folder: Path, package: Made) -> None:
    path, listing = _listing(folder, package.folder)
    name = f"{package.stem}{package.kind}"
    content = (folder / package.folder / name).read_bytes()
    hashed = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    listing[_kind(package)][name] = package.index | hashed
    path.write_text(json.dumps(listing))


def _listing(folder: Path, subdir: str) -> tuple[Path, dict[str, Any]]:
    path = folder / subdir / "repodata.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        empty = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": {}, "repodata_version": 1}
        path.write_text(json.dumps(empty))
    return path, json.loads(path.read_text())


def metadata(name: str, version: str, *lines: str) -> str:
    """What a Python package says of itself."""
    return "".join(
        f"{line}\n" for line in ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines)
    )


def python_package(version: str, *, depends: Iterable[str] = ()) -> Made:
    """A Python that looks like one and does not run."""
    minor = version.rpartition(".")[0]
    return Made(
        "python",
        version,
        "h0_cpython",
        depends=tuple(depends),
        files={
            f"bin/python{minor}": b"\x7fELF",
            "bin/python": Link(f"python{minor}"),
            f"lib/libpython{minor}.so.1.0": b"\x7fELF",
            f"lib/python{minor}/os.py": "sep = '/'\n",
            f"lib/python{minor}/__pycache__/os.cpython-38.pyc": b"bound to times",
        },
    )


LIBTINY = Made(
    "libtiny",
    files={
        "lib/libtiny.so": b"\0\1begin" + PLACEHOLDER.encode() + b"/lib\0end",
        "bin/tiny": f"#!{PLACEHOLDER}/bin/python\nprint('tiny')\n",
        "bin/.libtiny-post-link.sh": "#!/bin/sh\ntouch $PREFIX/was-run\n",
        "etc/tiny.conf": f"home = {PLACEHOLDER}\n",
    },
    prefixes={"lib/libtiny.so": "binary", "bin/tiny": "text", "etc/tiny.conf": "text"},
    kind=".tar.bz2",
)
PURELY = Made(
    "purely",
    "2.0",
    depends=("python >=3.8",),
    noarch="python",
    entry_points=("purely = purely:main",),
    files={
        "site-packages/purely/__init__.py": "def main():\n    print('purely runs')\n",
        "site-packages/purely-2.0.dist-info/METADATA": metadata("Purely", "2.0"),
        "python-scripts/purely-old": f"#!{PLACEHOLDER}/bin/python\nimport purely\npurely.main()\n",
    },
    prefixes={"python-scripts/purely-old": "text"},
)
