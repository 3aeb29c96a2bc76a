"""Which packages an image's own databases say are installed: dpkg, apk, Python, conda. Pure.

Names alone tell of Python and conda; of dpkg and apk their lists are read. Nothing of it is a promise: what
was copied into an image without its package manager is in no such list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import attrs

from modelyard.images.contents import Contents

DATABASES = re.compile(
    r"var/lib/dpkg/status(\.d/[^/]+)?|lib/apk/db/installed|usr/lib/apk/db/installed|(etc|usr/lib)/os-release"
)
"""Files whose text is read."""
NAMES = re.compile(
    r"(.*/)?(site|dist)-packages/[^/]+\.(dist-info/METADATA|egg-info|egg-info/PKG-INFO)"
    r"|(.*/)?conda-meta/[^/]+\.json"
    r"|(var/lib|usr/lib/sysimage)/rpm/(Packages|Packages\.db|rpmdb\.sqlite)"
)
"""Files that are known by their names alone."""
_PYTHON = re.compile(
    r".*(site|dist)-packages/([^/-]+)-([^/-]+)(-py3\.\d+)?\.(dist-info/METADATA|egg-info(/PKG-INFO)?)"
)
_CONDA = re.compile(r".*conda-meta/([^/]+)-([^/-]+)-([^/-]+)\.json")
_RPM = re.compile(r"(var/lib|usr/lib/sysimage)/rpm/.*")
_RELEASE = re.compile(r'^(ID|VERSION_ID)="?([\w.-]*)"?$', re.MULTILINE)
_DASHES = re.compile(r"[-_.]+")
_INSTALLED = " installed"


@attrs.frozen(order=True)
class InstalledPackage:
    """One entry of a database. `kind` is the type of its package address: `deb`, `apk`, `pypi` or `conda`.

    `system` is the distribution it is of (`debian`), `release` that one's (`12`); empty where it is of none.
    """

    kind: str
    name: str
    version: str
    architecture: str = ""
    system: str = ""
    release: str = ""
    build: str = ""


@attrs.frozen
class Inventory:
    """What was found. `unread` names databases that are there and in a format that is not read."""

    packages: tuple[InstalledPackage, ...] = ()
    unread: tuple[str, ...] = ()


def find_installed(contents: Contents) -> Inventory:
    """List the packages of an image's contents, sorted, each once."""
    release = _release(contents)
    found: set[InstalledPackage] = set()
    unread: set[str] = set()
    for path, traits in contents.files.items():
        if "dpkg/status" in path and DATABASES.fullmatch(path):
            found.update(_dpkg(traits.text, release))
        elif path.endswith("lib/apk/db/installed"):
            found.update(_apk(traits.text, release))
        elif python := _PYTHON.fullmatch(path):
            found.add(InstalledPackage("pypi", _DASHES.sub("-", python[2]).lower(), python[3]))
        elif conda := _CONDA.fullmatch(path):
            found.add(InstalledPackage("conda", conda[1], conda[2], build=conda[3]))
        if _RPM.fullmatch(path) or (DATABASES.fullmatch(path) and traits.cut):
            unread.add(path)
    return Inventory(tuple(sorted(found)), tuple(sorted(unread)))


def _release(contents: Contents) -> Mapping[str, str]:
    for path in ("etc/os-release", "usr/lib/os-release"):
        if traits := contents.traits(path):
            return dict(_RELEASE.findall(traits.text.decode(errors="replace")))
    return {}


def _dpkg(text: bytes, release: Mapping[str, str]) -> Iterator[InstalledPackage]:
    for fields in _stanzas(text, ": "):
        # one of an image without a shell has no status: whatever is listed there is installed
        installed = fields.get("Status", _INSTALLED).endswith(_INSTALLED)
        if installed and fields.get("Package") and fields.get("Version"):
            yield InstalledPackage(
                "deb",
                fields["Package"],
                fields["Version"],
                fields.get("Architecture", ""),
                release.get("ID", "debian"),
                release.get("VERSION_ID", ""),
            )


def _apk(text: bytes, release: Mapping[str, str]) -> Iterator[InstalledPackage]:
    for fields in _stanzas(text, ":"):
        if fields.get("P") and fields.get("V"):
            system, version = release.get("ID", "alpine"), release.get("VERSION_ID", "")
            yield InstalledPackage("apk", fields["P"], fields["V"], fields.get("A", ""), system, version)


def _stanzas(text: bytes, between: str) -> Iterator[Mapping[str, str]]:
    for stanza in text.decode(errors="replace").split("\n\n"):
        lines = (line for line in stanza.splitlines() if not line.startswith((" ", "\t")))
        yield {key: value.strip() for key, found, value in (one.partition(between) for one in lines) if found}
