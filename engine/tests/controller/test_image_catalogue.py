"""What `engine images list` and `show` say of a registry's images."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from modelyard.api import Artifact, ImageKind, ImagePackage, NotFound, UserError
from modelyard.images import BASE_IMAGES, ENVIRONMENT_IMAGES, Repository, steps_key
from modelyard.images.attesting import BILL_TYPE, attach_sbom

from engine.tests.controller.library import PIN, Library
from engine.tests.images.layering import layer, put_image


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.at(tmp_path)


def test_an_empty_registry_has_no_images(library: Library):
    assert asyncio.run(library.images.list("")) == ()


def test_an_environment_says_what_it_is_and_who_uses_it(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0", "six==1.0")
        library.revision(1, key)
        library.revision(2, "another")
        (seen,) = await library.images.list("")
        assert (seen.kind, seen.registry, seen.tag) == (ImageKind.ENVIRONMENT, "memory", key)
        assert (seen.platform, seen.base, seen.pythons) == ("linux/amd64", "python:3", ("3.11.7",))
        assert (seen.packages, seen.used_by) == (2, ("digits:1",))
        assert seen.size_bytes > 1000

    asyncio.run(case())


def test_a_revision_whose_image_a_plugin_named_refers_to_it_by_digest(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0")
        digest = (await library.registry.resolve(ENVIRONMENT_IMAGES, key)).digest
        library.revision(1, digest.removeprefix("sha256:"))
        (seen,) = await library.images.list("")
        assert seen.used_by == ("digits:1",)

    asyncio.run(case())


def test_a_base_is_used_by_whoever_uses_what_stands_on_it(library: Library):
    async def case() -> None:
        library.revision(1, await library.environment("numpy==2.1.0", steps=("RUN true",)))
        await library.environment("numpy==2.1.0")
        base = next(one for one in await library.images.list("") if one.kind is ImageKind.BASE)
        assert (base.tag, base.used_by) == (steps_key("sha256:base", ["RUN true"]), ("digits:1",))
        shown = await library.images.show(base.tag[:12])
        assert shown.summary == base

    asyncio.run(case())


def test_services_are_listed_by_revision(library: Library):
    async def case() -> None:
        library.revision(3, "k", image=await library.service(3))
        (seen,) = await library.images.list("")
        assert (seen.kind, seen.repository, seen.tag) == (ImageKind.SERVICE, "images/services/digits", "3")
        assert seen.used_by == ("digits:3",)

    asyncio.run(case())


def test_another_registry_is_listed_by_its_name(library: Library):
    key = asyncio.run(library.environment("numpy==2.1.0", registry=library.other))
    (seen,) = asyncio.run(library.images.list("company"))
    assert (seen.registry, seen.tag) == ("company", key)
    with pytest.raises(NotFound, match="no registry is named 'gone'"):
        asyncio.run(library.images.list("gone"))


def test_what_is_no_image_is_passed_over_and_logged(library: Library, caplog: pytest.LogCaptureFixture):
    from modelyard.api import Artifact

    async def case() -> None:
        await library.environment("numpy==2.1.0")
        await library.registry.push(ENVIRONMENT_IMAGES, Artifact("application/x", ()), tag="odd")
        assert len(await library.images.list("")) == 1

    asyncio.run(case())
    assert "images/environments:odd is passed over" in caplog.text


def test_an_image_is_shown_whole_by_the_beginning_of_its_key(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0")
        shown = await library.images.show(key[:8])
        digest = (await library.registry.resolve(ENVIRONMENT_IMAGES, key)).digest
        assert (shown.key, shown.summary.digest) == (key, digest)
        assert shown.address == f"registry.example/{ENVIRONMENT_IMAGES}@{digest}"
        assert shown.inputs
        assert (shown.inputs.base, shown.inputs.requirements) == ("python:3", ("numpy==2.1.0",))
        (inside,) = shown.environments
        assert (inside.prefix, inside.python, inside.packages) == ("/opt/modelyard/env", "3.11.7", 1)
        assert inside.lock == PIN.format("numpy==2.1.0")
        assert [one.part for one in shown.layers] == ["base", "base"]

    asyncio.run(case())


def test_locks_that_only_a_shared_registry_keeps_are_found(library: Library):
    async def case() -> None:
        key = await library.environment("numpy==2.1.0", registry=library.other)
        await library.environment("numpy==2.1.0")
        await library.registry.delete("environments", key)
        assert (await library.images.show(key)).environments[0].lock

    asyncio.run(case())


def test_a_service_is_shown_by_the_revision_that_serves(library: Library):
    async def case() -> None:
        for number, outcome in ((1, "superseded"), (2, "serving"), (3, "failed")):
            library.revision(number, "k", image=await library.service(number), outcome=outcome)
        assert (await library.images.show("digits")).summary.tag == "2"
        assert (await library.images.show("digits:1")).summary.tag == "1"
        with pytest.raises(NotFound, match="has no revision '7'"):
            await library.images.show("digits:7")

    asyncio.run(case())


def test_a_revision_of_processes_has_no_image(library: Library):
    library.revision(1, "k")
    with pytest.raises(NotFound, match="revision 1 of 'digits' has no image"):
        asyncio.run(library.images.show("digits"))


@pytest.mark.parametrize("name", ["0123456789ab", "../x", "unknown:1", "abc"])
def test_what_nobody_knows_is_not_found(library: Library, name: str):
    with pytest.raises(NotFound, match="there is no image"):
        asyncio.run(library.images.show(name))


def test_a_beginning_that_fits_several_is_refused(library: Library):
    async def case() -> None:
        for tag in ("abcdef" + "0" * 58, "abcdef" + "1" * 58):
            await put_image(library.registry, [layer({"a": b"a"})], repository=BASE_IMAGES, tag=tag)
        with pytest.raises(UserError, match="2 images begin with abcdef"):
            await library.images.show("abcdef")

    asyncio.run(case())


def test_an_image_shows_the_packages_of_its_bill_and_a_damaged_bill_names_none(library: Library):
    component = {
        "bom-ref": "a",
        "type": "library",
        "name": "libfoo",
        "version": "1",
        "purl": "pkg:deb/debian/libfoo@1",
    }
    bill = json.dumps({"bomFormat": "CycloneDX", "components": [component]}).encode()

    async def case() -> None:
        key = await library.environment("numpy==2.1.0")
        place = Repository(library.registry, ENVIRONMENT_IMAGES)
        manifest = await library.registry.resolve(ENVIRONMENT_IMAGES, key)
        await attach_sbom(manifest, bill, place)
        shown = await library.images.show(key[:12])
        assert shown.packages == (ImagePackage("deb", "libfoo", "1", "pkg:deb/debian/libfoo@1"),)
        damaged = Artifact(BILL_TYPE, (), subject=manifest)
        await library.registry.push(ENVIRONMENT_IMAGES, damaged)
        assert (await library.images.show(key[:12])).packages == ()

    asyncio.run(case())
