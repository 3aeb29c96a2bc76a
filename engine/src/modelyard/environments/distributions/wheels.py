"""Read a wheel's own words: its name, version and requirements, and the digest of its bytes."""

from __future__ import annotations

import email.parser
import hashlib
import zipfile
from email.message import Message
from pathlib import Path

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from modelyard.api import UserError

_LARGEST_METADATA = 4 << 20
"""Bytes; it is read into memory."""


@attrs.frozen
class WheelFile:
    """A wheel: where it lies, its canonical name, its SHA-256 in hex, and what it asks for."""

    path: Path
    name: str
    version: Version
    digest: str
    requires: tuple[str, ...]
    requires_python: str = ""


def read_wheel(path: Path) -> WheelFile:
    """Read a wheel. Raises `UserError` for a file that is none, or that another name belongs to."""
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        metadata = _metadata(path)
        needs = tuple(str(Requirement(line)) for line in metadata.get_all("Requires-Dist", []))
        python = str(SpecifierSet(metadata["Requires-Python"] or ""))
        _check_named(metadata, name, version)
    except (
        InvalidRequirement,
        InvalidSpecifier,
        InvalidWheelFilename,
        OSError,
        ValueError,  # also of versions
        zipfile.BadZipFile,
    ) as error:
        raise UserError(
            f"this is no wheel that can be used: {error}",
            place=str(path),
            remedy="build it again: `make packaging` makes those of the engine",
        ) from error
    return WheelFile(path, name, version, digest, needs, python)


def _check_named(metadata: Message, name: str, version: Version) -> None:
    told = (canonicalize_name(metadata["Name"] or ""), Version(metadata["Version"] or ""))
    if told != (name, version):
        raise ValueError(f"it holds {told[0]} {told[1]}")


def _metadata(path: Path) -> Message:
    with zipfile.ZipFile(path) as wheel:
        found = [one for one in wheel.infolist() if one.filename.endswith(".dist-info/METADATA")]
        if len(found) != 1 or found[0].file_size > _LARGEST_METADATA:
            raise ValueError("it has not one METADATA of a sensible size")
        return email.parser.BytesHeaderParser().parsebytes(wheel.read(found[0]))
