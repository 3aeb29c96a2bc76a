"""What is in an environment: the packages of its lock, with what the installed ones say of themselves."""

from __future__ import annotations

import email.parser
import re
from collections.abc import Mapping
from email.message import Message
from pathlib import Path

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from modelyard.api import BasePython
from modelyard.environments.pins import Pin, applies, read_pins

MOST_METADATA_BYTES = 4 * 1024 * 1024
"""A package's description is in the same file, below what is read here."""
_LONGEST_WORDS = 200
_CLASSIFIER = "License :: "


@attrs.frozen
class Package:
    """A Python package. `licence` is an SPDX expression, or its authors' own words; `requires` are names."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    licence: str = ""
    supplier: str = ""
    requires: tuple[str, ...] = ()


def list_packages(lock: str, python: BasePython, site: Path | None = None) -> tuple[Package, ...]:
    """List what a lock puts into an environment of `python`, by name.

    `site` is the folder of its installed packages, where it is at hand: licence, supplier and requirements
    are read there and are empty without it. Raises `LockDamaged`; blocks while it reads.
    """
    installed = read_metadata(site) if site else {}
    pins = [pin for pin in read_pins(lock) if pin.is_for(python)]
    names = frozenset(pin.name for pin in pins)
    return tuple(_package(pin, installed.get(pin.name), python, names) for pin in pins)


def read_metadata(site: Path) -> Mapping[str, Message]:
    """Read what each installed package says of itself, by name; one that cannot be read says nothing."""
    found: dict[str, Message] = {}
    for info in sorted(site.glob("*.dist-info")):
        try:
            with (info / "METADATA").open("rb") as file:
                content = file.read(MOST_METADATA_BYTES)
        except OSError:
            continue
        said = email.parser.BytesHeaderParser().parsebytes(content)
        found[canonicalize_name(str(said["Name"] or info.name.partition("-")[0]))] = said
    return found


def list_installed(prefix: Path) -> tuple[Pin, ...]:
    """List the packages of an environment on disk, by name; their files' hashes are not known. Blocks."""
    folders = prefix.glob("lib/python*/site-packages/*.dist-info")
    named = (folder.name.removesuffix(".dist-info").partition("-") for folder in folders)
    found = sorted((canonicalize_name(name), version) for name, _, version in named)
    return tuple(Pin(name, version, ()) for name, version in found)


def _package(pin: Pin, said: Message | None, python: BasePython, names: frozenset[str]) -> Package:
    if said is None:
        return Package(pin.name, pin.version, pin.hashes)
    return Package(
        pin.name,
        pin.version or _words(said["Version"]),
        pin.hashes,
        licence=_licence(said),
        supplier=_supplier(said),
        requires=_requires(said, python, names - {pin.name}),
    )


def _licence(said: Message) -> str:
    classified = [str(one) for one in said.get_all("Classifier", []) if str(one).startswith(_CLASSIFIER)]
    named = [one.rpartition("::")[2].strip() for one in classified]
    # many put the whole text of a licence into the old field
    old = _words(said["License"]) if "\n" not in str(said["License"] or "").strip() else ""
    return _words(said["License-Expression"]) or old or _words(", ".join(named))


def _supplier(said: Message) -> str:
    for field in ("Author", "Maintainer"):
        if name := _words(said[field]):
            return name
    for field in ("Author-email", "Maintainer-email"):
        # `A Name <a@host>, Another <b@host>`: the addresses stay where they are
        names = re.sub(r"<[^>]*>", "", str(said[field] or "")).split(",")
        if told := ", ".join(name.strip(' "') for name in names if name.strip(' "') and "@" not in name):
            return _words(told)
    return ""


def _requires(said: Message, python: BasePython, names: frozenset[str]) -> tuple[str, ...]:
    wanted = set()
    for line in said.get_all("Requires-Dist", []):
        try:
            need = Requirement(str(line))
        except InvalidRequirement:
            continue
        if applies(str(need.marker or ""), python):
            wanted.add(canonicalize_name(need.name))
    return tuple(sorted(wanted & names))


def _words(value: object) -> str:
    text = " ".join(str(value or "").split())
    plain = "".join(letter for letter in text if letter.isprintable())
    return "" if plain.upper() == "UNKNOWN" else plain[:_LONGEST_WORDS]
