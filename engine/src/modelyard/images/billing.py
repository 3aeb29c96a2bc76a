"""Say what an image that we build is made of, and keep that beside it before anybody can find it by its tag."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from modelyard.api import BuildOrder, BuildSite, Descriptor, PipLayer
from modelyard.environments import CondaPackage as LockedPackage
from modelyard.environments import Package, list_packages, parse_conda_lock
from modelyard.images.attesting import (
    Bill,
    CondaPackage,
    ImageName,
    attach_sbom,
    read_sboms,
    with_links_to,
    with_origin,
    with_parts_of,
    write_sbom,
)
from modelyard.images.base_pythons import BaseFacts, facts_of
from modelyard.images.bases import find_base
from modelyard.images.images import Base, Repository


async def bill_order(
    order: BuildOrder,
    manifest: Descriptor,
    base: Base,
    site: BuildSite,
    *,
    looks: Path,
) -> None:
    """Attach the bill of what an order made of a base; trees in the site's folder tell licences and needs.

    What the base's own bill names is in it too; where it has none, what its package databases say, which are
    looked for once, in `looks`. The same image gives the same bill.
    """
    source, target = _sides(order, site)
    made = await asyncio.to_thread(_bill_of_order, order, manifest, base, target, site.folder)
    below = await _bills_of(base, source)
    unkept = [] if below else [_of_base(base, await facts_of(base, source, order.platform, looks))]
    await attach_sbom(manifest, await asyncio.to_thread(_written, made, below, unkept), target)


async def bill_steps(
    order: BuildOrder,
    manifest: Descriptor,
    base: Base | None,
    site: BuildSite,
    *,
    looks: Path,
) -> None:
    """Attach the bill of what docker steps or a Dockerfile made: what its package databases say is there now.

    The steps are named by their digests alone: they may hold what is nobody's business. `base` None = a whole
    Dockerfile, whose base nobody knows.
    """
    source, target = _sides(order, site)
    built = await find_base(target, manifest.digest, order.platform)
    facts = await facts_of(built, target, order.platform, looks)
    image = _name(target, manifest.digest)
    bill = Bill(image, _base_name(base) if base else image, installed=facts.installed.packages)
    content = with_origin(
        await asyncio.to_thread(write_sbom, bill),
        steps=map(_sha256, order.docker_steps),
        dockerfile=_sha256(order.dockerfile) if order.dockerfile else "",
        unread=facts.installed.unread,
        known=bool(facts.installed.packages),
    )
    below = await _bills_of(base, source) if base else ()
    # steps may have removed what was below: its bill is referred to, and nothing taken from it
    content = await asyncio.to_thread(with_links_to, content, below)
    await attach_sbom(manifest, content, target)


async def let_be_found(manifest: Descriptor, target: Repository, tag: str) -> Descriptor:
    """Give an image its tag: all that belongs to it is there."""
    artifact = await target.registry.pull(target.name, manifest.digest)
    return await target.registry.push(target.name, artifact, tag=tag)


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
    below = await _bills_of(base, source)
    await attach_sbom(manifest, await asyncio.to_thread(_written, bill, below, ()), target)


def package_of(wheel: Path, digest: str) -> Package:
    """Describe a wheel by its file's name and its SHA-256 (hex)."""
    name, version = wheel.name.split("-")[:2]
    return Package(name.replace("_", "-").lower(), version, (f"sha256:{digest}",))


def _sides(order: BuildOrder, site: BuildSite) -> tuple[Repository, Repository]:
    """Say where an order's base lies, and where its image."""
    source = Repository(site.base, order.base.repository)
    return source, Repository(site.workspace, order.repository)


async def _bills_of(base: Base, source: Repository) -> tuple[bytes, ...]:
    return await read_sboms(await source.registry.resolve(source.name, base.digest), source)


def _written(bill: Bill, below: Sequence[bytes], unkept: Sequence[bytes]) -> bytes:
    return with_parts_of(with_origin(write_sbom(bill)), below, unkept=unkept)


def _of_base(base: Base, facts: BaseFacts) -> bytes:
    """Write what is known of a base that says nothing of itself."""
    name, found = _base_name(base), facts.installed
    bill = write_sbom(Bill(name, name, installed=found.packages))
    return with_origin(bill, unread=found.unread, known=bool(found.packages))


def _base_name(base: Base) -> ImageName:
    return ImageName(base.name, base.digest)


def _sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _bill_of_order(
    order: BuildOrder, manifest: Descriptor, base: Base, target: Repository, folder: Path
) -> Bill:
    conda = parse_conda_lock(order.conda.lock, spec_key="").packages if order.conda else ()
    pythons = [one.python.version for one in order.pips if one.serving and not one.system_packages]
    return Bill(
        image=_name(target, manifest.digest),
        base=_base_name(base),
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
