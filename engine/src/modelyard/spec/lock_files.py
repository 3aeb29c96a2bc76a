"""A lock file (PEP 751, `pylock.toml`): which versions it names, and the hashes of their wheels.

Nothing in it is believed: sizes are bounded, what is unknown is refused, and no address in it is ever called.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import attrs
from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from modelyard.api import LockedPackage, LockFile
from modelyard.spec.documents import Node
from modelyard.spec.files import read_bytes
from modelyard.spec.findings import WrongError
from modelyard.spec.kinds import Context, Schema
from modelyard.spec.places import PATH, absolute

MAX_LOCK_FILE_BYTES = 5_000_000
"""Three hundred packages with every wheel of each are a tenth of it."""
_MAX_PACKAGES = 2_000
_MAX_ENVIRONMENTS = 100
_VERSION = "1.0"
_NAME = re.compile(r"pylock(\.[^./]+)?\.toml")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OF_A_CHOICE = re.compile(r"\b(extras?|dependency_groups)\b")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_ALLOWED = "a lock file (PEP 751, pylock.toml), or its content"
_ELSEWHERE = ("vcs", "directory", "archive")
"""Sources that no hash of a wheel stands for."""


def is_lock_file(name: object) -> bool:
    """Say whether a file's name is that of a lock file: `pylock.toml`, `pylock.gpu.toml`."""
    return isinstance(name, str) and _NAME.fullmatch(name.rpartition("/")[2]) is not None


@attrs.frozen
class LockFileKind:
    """The path of a lock file, or its content as a mapping."""

    def parse(self, node: Node, context: Context, key: str) -> LockFile:
        """Read it."""
        if isinstance(node.value, Mapping):
            return _lock_file(node.plain(), key)
        path = absolute(PATH.parse(node, context, key), context)
        try:
            text = read_bytes(path, most=MAX_LOCK_FILE_BYTES).decode("utf-8")
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise WrongError(f"is not valid TOML ({path}): {error}", allowed=_ALLOWED) from error
        except RecursionError as error:
            raise WrongError(f"is nested too deep ({path})", allowed=_ALLOWED) from error
        return _lock_file(document, path.name)

    def dump(self, value: LockFile) -> dict[str, object]:
        """Write it, as short a lock file as says the same."""
        document: dict[str, object] = {
            "lock-version": _VERSION,
            "packages": [_dumped(package) for package in value.packages],
        }
        if value.requires_python:
            document["requires-python"] = value.requires_python
        if value.environments:
            document["environments"] = list(value.environments)
        return document

    def show(self, value: LockFile | None) -> str:
        """Show it."""
        return "" if value is None else f"{len(value.packages)} packages"

    def schema(self) -> Schema:
        """Describe it."""
        return {"anyOf": [{"type": "string"}, {"type": "object"}]}


def _lock_file(document: Mapping[str, Any], place: str) -> LockFile:
    version = document.get("lock-version")
    if version != _VERSION:
        raise WrongError(
            f"{place}: lock-version {version!r} is unknown", allowed=f'lock-version = "{_VERSION}"'
        )
    found = _list(document, "packages", place, most=_MAX_PACKAGES)
    packages = tuple(_package(one, f"{place}: packages[{index}]") for index, one in enumerate(found))
    if twin := _twin(packages):
        raise WrongError(
            f"{place}: {twin} is there twice", allowed="every package once, or with other markers"
        )
    return LockFile(
        packages=tuple(sorted(packages, key=lambda package: package.line)),
        requires_python=_specifiers(_text(document, "requires-python", place), place),
        environments=tuple(
            _marker(one, f"{place}: environments")
            for one in _list(document, "environments", place, most=_MAX_ENVIRONMENTS, required=False)
        ),
    )


def _package(raw: object, place: str) -> LockedPackage:
    if not isinstance(raw, Mapping):
        raise WrongError(f"{place} is no table", allowed=_ALLOWED)
    name = _name(_text(raw, "name", place), place)
    place = f"{place} ({name})"
    if source := next((one for one in _ELSEWHERE if one in raw), None):
        raise WrongError(
            f"{place} comes from {'an' if source == 'archive' else 'a'} `{source}`, not from an index",
            allowed="packages with wheels; put its wheel on your index and lock again",
        )
    if not raw.get("wheels"):
        raise WrongError(
            f"{place} has no wheel: source packages are never built here",
            allowed="packages with wheels; put a wheel of it on your index and lock again",
        )
    return LockedPackage(
        name=name,
        version=_version(_text(raw, "version", place), place),
        hashes=tuple(sorted({_hash(one, place) for one in _list(raw, "wheels", place)})),
        marker=_marker(text, place) if (text := _text(raw, "marker", place)) else "",
    )


def _dumped(package: LockedPackage) -> dict[str, object]:
    raw: dict[str, object] = {
        "name": package.name,
        "version": package.version,
        "wheels": [{"hashes": {"sha256": one.removeprefix("sha256:")}} for one in package.hashes],
    }
    return raw | ({"marker": package.marker} if package.marker else {})


def _twin(packages: tuple[LockedPackage, ...]) -> str | None:
    seen: set[tuple[str, str]] = set()
    for package in packages:
        key = (package.name, package.marker)
        if key in seen:
            return package.name
        seen.add(key)
    return None


def _hash(wheel: object, place: str) -> str:
    hashes = wheel.get("hashes") if isinstance(wheel, Mapping) else None
    found = hashes.get("sha256") if isinstance(hashes, Mapping) else None
    if not isinstance(found, str) or not _SHA256.fullmatch(found):
        raise WrongError(
            f"{place} has a wheel without a SHA-256", allowed='hashes = {sha256 = "<64 digits>"}'
        )
    return f"sha256:{found}"


def _name(text: str, place: str) -> str:
    try:
        return str(canonicalize_name(text, validate=True))
    except InvalidName as error:
        raise WrongError(f"{place}: {text!r} is no name of a package", allowed=_ALLOWED) from error


def _version(text: str, place: str) -> str:
    try:
        return str(Version(text))
    except InvalidVersion as error:
        raise WrongError(f"{place}: {text!r} is no version", allowed="a version, as 1.2.3") from error


def _specifiers(text: str, place: str) -> str:
    try:
        return str(SpecifierSet(text))
    except InvalidSpecifier as error:
        raise WrongError(f"{place}: requires-python is {text!r}", allowed="as >=3.11") from error


def _marker(text: object, place: str) -> str:
    """Read a marker that speaks of machines alone: extras and groups would be somebody's choice."""
    try:
        marker = str(Marker(str(text)))
    except InvalidMarker as error:
        raise WrongError(
            f"{place}: {str(text)!r} is no marker", allowed="as python_version >= '3.11'"
        ) from error
    if _OF_A_CHOICE.search(_QUOTED.sub("", marker)):
        raise WrongError(
            f"{place}: the marker {marker!r} depends on extras or groups",
            allowed="a lock file of one choice of extras and groups; lock again for what the service needs",
        )
    return marker


def _text(raw: Mapping[str, Any], key: str, place: str) -> str:
    value = raw.get(key, "")
    if not isinstance(value, str):
        raise WrongError(f"{place}: {key} is no text", allowed=_ALLOWED)
    return value


def _list(
    raw: Mapping[str, Any], key: str, place: str, *, most: int = _MAX_PACKAGES, required: bool = True
) -> list[object]:
    value = raw.get(key, None if required else [])
    if not isinstance(value, list):
        raise WrongError(f"{place} has no list of `{key}`", allowed=_ALLOWED)
    if len(value) > most:
        raise WrongError(f"{place} has {len(value)} {key}", allowed=f"at most {most}")
    return value
