"""Write an image's bill of materials: CycloneDX 1.6 as JSON, the same bytes for the same content.

Pure, and the one door of the CycloneDX library, which is imported when the first bill is written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

import attrs

from modelyard.environments import Package
from modelyard.images.installed import InstalledPackage

if TYPE_CHECKING:
    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import License
    from packageurl import PackageURL

_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")
_TOKEN = re.compile(r"/t/[^/]+")
_DISCRIMINATOR = 5  # of UUIDs, version 5 is the one whose bits come from a hash


@attrs.frozen
class ImageName:
    """An image as people call it (`registry.example/team/python:3.11`) and the digest it stands for."""

    name: str
    digest: str


@attrs.frozen
class CondaPackage:
    """A conda package as its lock has it; `sha256` is hex and may be empty, `channel` an address or a name."""

    name: str
    version: str
    build: str
    channel: str
    subdir: str
    sha256: str = ""
    licence: str = ""


@attrs.frozen
class Bill:
    """What an image is made of. `pips` has the packages of each Python environment in it."""

    image: ImageName
    base: ImageName
    python: str = ""
    """The version of the Python that runs it all; empty = conda brings it, or nobody knows."""
    runtime: Package | None = None
    pips: tuple[tuple[Package, ...], ...] = ()
    conda: tuple[CondaPackage, ...] = ()
    installed: tuple[InstalledPackage, ...] = ()
    """What package databases in it say besides."""


def load_library() -> None:
    """Import what writing a bill needs, ahead of time: it takes half a second, in any thread."""
    import cyclonedx.output.json
    import packageurl

    del cyclonedx, packageurl


def write_sbom(bill: Bill) -> bytes:
    """Write a bill as CycloneDX JSON. No time and nothing random is in it; its serial number is its hash."""
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.output.json import JsonV1Dot6

    image = _image(bill.image)
    parts = {str(one.bom_ref): one for one in _components(bill)}
    bom = Bom(components=parts.values(), metadata=BomMetaData(component=image))
    needs = _needs(bill)
    for ref, needed in needs.items():
        bom.register_dependency(parts[ref], [parts[one] for one in sorted(needed)])
    bom.register_dependency(image, [parts[one] for one in sorted(_roots(parts.keys(), needs))])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp")
    return numbered(document)


def numbered(document: Mapping[str, object]) -> bytes:
    """Write a document with the serial number that its content has."""
    unnumbered = {key: value for key, value in document.items() if key != "serialNumber"}
    serial = UUID(bytes=hashlib.sha256(_written(unnumbered)).digest()[:16], version=_DISCRIMINATOR)
    return _written(unnumbered | {"serialNumber": serial.urn})


def _written(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _components(bill: Bill) -> Iterable[Component]:
    from cyclonedx.model.component import ComponentType

    if bill.base.digest != bill.image.digest:
        yield _image(bill.base)
    if bill.python:
        # no package type is for an interpreter that an image brings along
        yield _component("python", bill.python, None, (), kind=ComponentType.PLATFORM)
    if bill.runtime:
        yield _python_package(bill.runtime)
    for packages in bill.pips:
        yield from map(_python_package, packages)
    yield from map(_conda_package, bill.conda)
    for one in bill.installed:
        yield _component(one.name, one.version, _installed(one), ())


def _needs(bill: Bill) -> Mapping[str, frozenset[str]]:
    """Say which components each needs; two environments may have the same package for different needs."""
    found: dict[str, frozenset[str]] = {}
    for packages in bill.pips:
        refs = {package.name: _ref(_pypi(package)) for package in packages}
        for package in packages:
            needed = frozenset(refs[name] for name in package.requires if name in refs)
            ref = refs[package.name]
            found[ref] = found.get(ref, frozenset()) | (needed - {ref})
    return found


def _roots(refs: Iterable[str], needs: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Give what the image itself needs: what nobody else does, and one of each ring that hangs on nothing."""
    every = sorted(refs)
    needed = frozenset[str]().union(*needs.values())
    roots = [ref for ref in every if ref not in needed]
    reached = _reach(roots, needs)
    for ref in every:
        if ref not in reached:
            roots.append(ref)
            reached |= _reach([ref], needs)
    return frozenset(roots)


def _reach(refs: Iterable[str], needs: Mapping[str, frozenset[str]]) -> frozenset[str]:
    reached, waiting = set[str](), list(refs)
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += needs.get(ref, ())
    return frozenset(reached)


def _image(image: ImageName) -> Component:
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    place = _without_tag(image.name)
    purl = PackageURL(
        "oci", None, place.rpartition("/")[2].lower(), image.digest, {"repository_url": place.lower()}
    )
    return _component(image.name, image.digest, purl, (image.digest,), kind=ComponentType.CONTAINER)


def _without_tag(name: str) -> str:
    place = name.partition("@")[0]
    folder, slash, last = place.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _python_package(package: Package) -> Component:
    found = _component(package.name, package.version, _pypi(package), package.hashes)
    _describe(found, package.licence, package.supplier)
    return found


def _pypi(package: Package) -> PackageURL:
    from packageurl import PackageURL

    return PackageURL("pypi", None, package.name, package.version or None)


def _installed(package: InstalledPackage) -> PackageURL:
    from packageurl import PackageURL

    distro = "-".join(filter(None, [package.system, package.release]))
    told = {"arch": package.architecture, "build": package.build, "distro": distro}
    qualifiers = {key: value for key, value in told.items() if value}
    return PackageURL(package.kind, package.system or None, package.name, package.version, qualifiers)


def _conda_package(package: CondaPackage) -> Component:
    from packageurl import PackageURL

    where = {"build": package.build, "channel": public_channel(package.channel), "subdir": package.subdir}
    purl = PackageURL("conda", None, package.name, package.version, {k: v for k, v in where.items() if v})
    found = _component(
        package.name, package.version, purl, (f"sha256:{package.sha256}",) if package.sha256 else ()
    )
    _describe(found, package.licence, "")
    return found


def public_channel(channel: str) -> str:
    """Name a channel without what lets somebody in: no user, no password, no token, no query."""
    parts = urlsplit(channel)
    if not parts.scheme:
        return _TOKEN.sub("", channel)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{_TOKEN.sub('', parts.path)}"


def _component(
    name: str,
    version: str,
    purl: PackageURL | None,
    hashes: Iterable[str],
    *,
    kind: ComponentType | None = None,
) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=name,
        version=version or None,
        type=kind or ComponentType.LIBRARY,
        purl=purl,
        bom_ref=_ref(purl) if purl else f"{name}@{version}",
        hashes=list(map(_hash, hashes)),
    )


def _ref(purl: PackageURL) -> str:
    return str(purl.to_string())


def _hash(written: str) -> HashType:
    from cyclonedx.model import HashAlgorithm, HashType

    algorithm, _, content = written.partition(":")
    return HashType(alg=HashAlgorithm(algorithm.upper().replace("SHA", "SHA-")), content=content)


def _describe(component: Component, licence: str, supplier: str) -> None:
    from cyclonedx.model.contact import OrganizationalEntity

    if licence:
        component.licenses.add(_licence(licence))
    if supplier:
        component.supplier = OrganizationalEntity(name=supplier)


def _licence(words: str) -> License:
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from cyclonedx.spdx import is_expression, is_supported_id

    if is_supported_id(words):
        return DisjunctiveLicense(id=words)
    return LicenseExpression(words) if is_expression(words) else DisjunctiveLicense(name=words)
