"""Make a wheel of an installed distribution: of the files that its RECORD names, and the same bytes every time.

What the installer added is left out: its marks, the scripts it generated, byte code. What it put elsewhere than
beside the packages cannot be told back into a wheel, so such a distribution is refused.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import zipfile
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name
from packaging.version import Version

_NO_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say."""
_INSTALLERS = frozenset(
    {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}
)
_SIGNATURES = frozenset({"RECORD.jws", "RECORD.p7s"})
_REGULAR = 0o100000
_UNIX = 3


class NotRepackable(ValueError):
    """A distribution of which no wheel can be made; the text says why."""


def repack(distribution: Distribution, folder: Path) -> Path:
    """Write a wheel into a folder and return its path. Raises `NotRepackable`."""
    info = _info(distribution)
    files = _files(distribution, info)
    path = folder / _wheel_name(distribution)
    rows = [_row(name, content) for name, (content, _) in files.items()]
    record = f"{info}/RECORD"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*rows, (record, "", "")])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
        for name, (content, runs) in files.items():
            _write(wheel, name, content, runs=runs)
        _write(wheel, record, text.getvalue().encode(), runs=False)
    return path


def revision_of(distribution: Distribution) -> str:
    """Say which revision of a repository a distribution was installed from; empty = it does not know."""
    try:
        told = json.loads(distribution.read_text("direct_url.json") or "{}")
        return str(told["vcs_info"]["commit_id"])
    except (ValueError, KeyError, TypeError):
        return ""


def is_editable(distribution: Distribution) -> bool:
    """Say whether it only points to a folder of sources."""
    try:
        told = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(told["dir_info"]["editable"])
    except (ValueError, KeyError, TypeError):
        return False


def _info(distribution: Distribution) -> str:
    """Name the folder of metadata."""
    if is_editable(distribution):
        raise NotRepackable("it is installed as a link to its sources")
    folders = {one.parts[0] for one in distribution.files or () if one.match("*.dist-info/RECORD")}
    if len(folders) != 1:
        raise NotRepackable("it was not installed from a wheel")
    return folders.pop()


def _files(distribution: Distribution, info: str) -> dict[str, tuple[bytes, bool]]:
    """Read what belongs into the wheel, sorted: its content, and whether it may be run."""
    scripts = {
        one.name for one in distribution.entry_points if one.group in ("console_scripts", "gui_scripts")
    }
    found = {}
    for file in sorted(distribution.files or (), key=str):
        name = file.as_posix()
        if _is_left_out(PurePosixPath(name), info, scripts):
            continue
        if name.startswith(("../", "/")):
            raise NotRepackable(f"it has a file beside the packages: {name}")
        place = Path(str(file.locate()))
        try:
            found[name] = (place.read_bytes(), bool(place.stat().st_mode & 0o111))
        except OSError as error:
            raise NotRepackable(f"{name} cannot be read: {error.strerror}") from error
    return found


def _is_left_out(file: PurePosixPath, info: str, scripts: set[str]) -> bool:
    if file.suffix == ".pyc":
        return True
    if file.parent == PurePosixPath(info):
        return file.name in _INSTALLERS | _SIGNATURES
    return file.parts[0] == ".." and file.parent.name == "bin" and file.name in scripts


def _wheel_name(distribution: Distribution) -> str:
    tags = re.findall(r"^Tag: *(\S+)-(\S+)-(\S+) *$", distribution.read_text("WHEEL") or "", re.MULTILINE)
    if not tags:
        raise NotRepackable("it does not say which Pythons it is for")
    together = [".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True)]
    name = canonicalize_name(distribution.metadata["Name"]).replace("-", "_")
    return "-".join([name, str(Version(distribution.version)), *together]) + ".whl"


def _row(name: str, content: bytes) -> tuple[str, str, str]:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return name, f"sha256={digest}", str(len(content))


def _write(wheel: zipfile.ZipFile, name: str, content: bytes, *, runs: bool) -> None:
    entry = zipfile.ZipInfo(name, _NO_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = _UNIX
    entry.external_attr = (_REGULAR | (0o755 if runs else 0o644)) << 16
    wheel.writestr(entry, content)
