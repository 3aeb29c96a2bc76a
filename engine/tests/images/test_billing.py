"""Every image that is built says what it is made of, and what nobody knows of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from modelyard.api import BuildOrder, BuildSite, Descriptor, ImageRef
from modelyard.images import BASE_IMAGES, ENVIRONMENT_IMAGES, Base, Repository, find_base
from modelyard.images.attesting import attach_sbom, packages_in, read_sboms
from modelyard.images.billing import bill_order, bill_steps
from modelyard.testing import InMemoryRegistry

from engine.tests.images.layering import DPKG, Link, layer, put_image
from engine.tests.images.making import AMD64, BASES

STEPS = ("RUN apt-get install libfoo", "ENV TOKEN=nobody-needs-to-know")
Members = Mapping[str, bytes | Link | None]
BASE: Members = {"usr/lib/python3/dist-packages/six-1.0.egg-info": b""}


@attrs.define
class Yard:
    """A registry with a base, and an image that steps made of it."""

    folder: Path
    registry: InMemoryRegistry = attrs.field(factory=InMemoryRegistry)

    async def base(self, members: Members = BASE) -> Base:
        made = await put_image(self.registry, [layer(members)])
        return await find_base(Repository(self.registry, BASES), made.digest, AMD64)

    def order(self, base: Base, **more: Any) -> BuildOrder:
        image = ImageRef(self.registry.name, BASES, base.digest)
        return attrs.evolve(BuildOrder(AMD64, image, BASE_IMAGES, "t", docker_steps=STEPS), **more)

    def site(self) -> BuildSite:
        return BuildSite(self.registry, self.registry, self.folder, print)

    async def stepped(self, base: Base, *, dockerfile: str = "", added: Members = DPKG) -> Descriptor:
        """Bill what steps made of a base."""
        made = await put_image(self.registry, [layer(BASE), layer(added)], repository=BASE_IMAGES, tag="made")
        order = self.order(base)
        if dockerfile:
            order = attrs.evolve(order, docker_steps=(), dockerfile=dockerfile)
        await bill_steps(order, made, None if dockerfile else base, self.site(), looks=self.folder / "looks")
        return made

    async def bill(self, image: Descriptor, repository: str) -> dict[str, Any]:
        (bill,) = await read_sboms(image, Repository(self.registry, repository))
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode()) is None
        return dict(json.loads(bill))


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def purls(document: dict[str, Any]) -> set[str]:
    return {one.address for one in packages_in(json.dumps(document).encode())}


def limits(document: dict[str, Any]) -> dict[str, str]:
    return {ref: one["aggregate"] for one in document["compositions"] for ref in one["assemblies"]}


def test_what_steps_made_is_billed_by_its_package_databases(yard: Yard):
    async def case() -> dict[str, Any]:
        return await yard.bill(await yard.stepped(await yard.base()), BASE_IMAGES)

    document = asyncio.run(case())
    assert purls(document) == {
        "pkg:deb/debian/libfoo@1.2-3?arch=amd64&distro=debian-12",
        "pkg:pypi/six@1.0",
    }
    assert limits(document) == {document["metadata"]["component"]["bom-ref"]: "incomplete"}


def test_steps_are_named_by_their_digests_alone(yard: Yard):
    async def case() -> tuple[dict[str, Any], Base]:
        base = await yard.base()
        return await yard.bill(await yard.stepped(base), BASE_IMAGES), base

    document, base = asyncio.run(case())
    told = {one["name"]: one["value"] for one in document["metadata"]["component"]["properties"]}
    assert told["modelyard:docker-step:1"] == f"sha256:{hashlib.sha256(STEPS[0].encode()).hexdigest()}"
    assert "nobody-needs-to-know" not in json.dumps(document)
    assert base.digest in {one.get("version") for one in document["components"]}


def test_a_dockerfiles_image_names_the_file_by_its_digest_and_no_base(yard: Yard):
    async def case() -> dict[str, Any]:
        return await yard.bill(await yard.stepped(await yard.base(), dockerfile="FROM x"), BASE_IMAGES)

    document = asyncio.run(case())
    (told,) = document["metadata"]["component"]["properties"]
    assert told["name"] == "modelyard:dockerfile"
    assert {one["type"] for one in document["components"]} == {"library"}


def test_a_base_in_which_no_database_was_found_is_unknown(yard: Yard):
    async def case() -> tuple[dict[str, Any], Base]:
        base = await yard.base({"a": b"a"})
        order = attrs.evolve(yard.order(base), docker_steps=(), repository=ENVIRONMENT_IMAGES)
        made = await put_image(yard.registry, [layer({"b": b""})], repository=ENVIRONMENT_IMAGES)
        await bill_order(order, made, base, yard.site(), looks=yard.folder / "looks")
        return await yard.bill(made, ENVIRONMENT_IMAGES), base

    document, base = asyncio.run(case())
    known = limits(document)
    assert known.pop(document["metadata"]["component"]["bom-ref"]) == "incomplete"
    assert list(known.values()) == ["unknown"]
    assert next(iter(known)).startswith(f"pkg:oci/python@{base.digest}")


def test_a_bill_above_names_what_steps_put_below_and_links_to_their_bill(yard: Yard):
    async def case() -> tuple[dict[str, Any], dict[str, Any]]:
        made = await yard.stepped(await yard.base())
        below = await find_base(Repository(yard.registry, BASE_IMAGES), made.digest, AMD64)
        order = BuildOrder(
            AMD64, ImageRef(yard.registry.name, BASE_IMAGES, made.digest), ENVIRONMENT_IMAGES, "e"
        )
        top = await put_image(yard.registry, [layer({"e": b"e"})], repository=ENVIRONMENT_IMAGES)
        await bill_order(order, top, below, yard.site(), looks=yard.folder / "looks")
        return await yard.bill(top, ENVIRONMENT_IMAGES), await yard.bill(made, BASE_IMAGES)

    document, below = asyncio.run(case())
    assert "pkg:pypi/six@1.0" in purls(document)
    (base,) = [one for one in document["components"] if "externalReferences" in one]
    serial = below["serialNumber"].removeprefix("urn:uuid:")
    assert base["externalReferences"] == [{"type": "bom", "url": f"urn:cdx:{serial}/1"}]
    assert base["properties"] == below["metadata"]["component"]["properties"]
    needs = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert "pkg:pypi/six@1.0" in needs[base["bom-ref"]]


def test_of_a_base_that_has_a_bill_that_is_taken(yard: Yard):
    theirs = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
        "version": 4,
        "metadata": {"component": {"bom-ref": "root", "type": "container", "name": "python"}},
        "components": [
            {
                "bom-ref": "openssl",
                "type": "library",
                "name": "openssl",
                "version": "3",
                "purl": "pkg:generic/openssl@3",
            }
        ],
        "dependencies": [{"ref": "root", "dependsOn": ["openssl"]}],
    }

    async def case() -> dict[str, Any]:
        base = await yard.base()
        source = Repository(yard.registry, BASES)
        manifest = await yard.registry.resolve(BASES, base.digest)
        await attach_sbom(manifest, json.dumps(theirs).encode(), source)
        order = attrs.evolve(yard.order(base), docker_steps=(), repository=ENVIRONMENT_IMAGES)
        made = await put_image(yard.registry, [layer({"b": b""})], repository=ENVIRONMENT_IMAGES)
        await bill_order(order, made, base, yard.site(), looks=yard.folder / "looks")
        return await yard.bill(made, ENVIRONMENT_IMAGES)

    assert purls(asyncio.run(case())) == {"pkg:generic/openssl@3"}


@pytest.mark.parametrize(
    "damaged", [b"", b"[]", b"{}", b'{"components": [{"purl": "pkg:pypi/x@1"}]}', b"[" * 99_999]
)
def test_a_damaged_bill_names_no_package(damaged: bytes):
    assert packages_in(damaged) == ()
