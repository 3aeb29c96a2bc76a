"""Say what an image that we build is made of, and keep that beside it before anybody can find it by its tag."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from modelyard.api import BuildOrder, Descriptor, PipLayer
from modelyard.environments import CondaPackage as LockedPackage
from modelyard.environments import Package, list_packages, parse_conda_lock
from modelyard.images.attesting import (
    Bill,
    CondaPackage,
    ImageName,
    attach_sbom,
    read_sboms,
    with_parts_of,
    write_sbom,
)
from modelyard.images.images import Base, Repository


async def bill_order(
    order: BuildOrder,
    manifest: Descriptor,
    base: Base,
    *,
    source: Repository,
    target: Repository,
    folder: Path,
) -> None:
    """Attach the bill of what an order made of a base; trees that lie in `folder` tell licences and needs.

    What the base's own bill names is in it too. The same image gives the same bill.
    """
    made = await asyncio.to_thread(_bill_of_order, order, manifest, base, target, folder)
    await _attach(made, manifest, base, source=source, target=target)


async def bill_upon(
    manifest: Descriptor, base: Base, own: Sequence[Package], *, source: Repository, target: Repository
) -> None:
    """Attach the bill of an image upon another of ours, unless it has one: what that one has, and its `own`."""
    if await read_sboms(manifest, target):
        return
    bill = Bill(
        image=_name(target, manifest.digest),
        base=_name(source, base.digest),
        pips=(tuple(own),) if own else (),
    )
    await _attach(bill, manifest, base, source=source, target=target)


def package_of(wheel: Path, digest: str) -> Package:
    """Describe a wheel by its file's name and its SHA-256 (hex)."""
    name, version = wheel.name.split("-")[:2]
    return Package(name.replace("_", "-").lower(), version, (f"sha256:{digest}",))


async def _attach(
    bill: Bill, manifest: Descriptor, base: Base, *, source: Repository, target: Repository
) -> None:
    below = await read_sboms(await source.registry.resolve(source.name, base.digest), source)
    content = await asyncio.to_thread(_written, bill, below)
    await attach_sbom(manifest, content, target)


def _written(bill: Bill, below: Sequence[bytes]) -> bytes:
    return with_parts_of(write_sbom(bill), below)


def _bill_of_order(
    order: BuildOrder, manifest: Descriptor, base: Base, target: Repository, folder: Path
) -> Bill:
    conda = parse_conda_lock(order.conda.lock, spec_key="").packages if order.conda else ()
    pythons = [one.python.version for one in order.pips if one.serving and not one.system_packages]
    return Bill(
        image=_name(target, manifest.digest),
        base=ImageName(base.name, base.digest),
        python=pythons[0] if pythons else "",
        pips=tuple(_packages(one, folder) for one in order.pips),
        conda=tuple(map(_of_conda, conda)),
    )


def _packages(layer: PipLayer, folder: Path) -> tuple[Package, ...]:
    site = folder / layer.prefix.name / "lib" / f"python{layer.python.minor}" / "site-packages"
    return list_packages(layer.lock, layer.python, site if site.is_dir() else None)


def _of_conda(package: LockedPackage) -> CondaPackage:
    return CondaPackage(
        name=package.name,
        version=package.version,
        build=package.build,
        channel=package.channel,
        subdir=package.subdir,
        sha256=package.sha256,
    )


def _name(repository: Repository, digest: str) -> ImageName:
    return ImageName(repository.registry.address(repository.name) or repository.name, digest)
