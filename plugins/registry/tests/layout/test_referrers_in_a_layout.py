"""What speaks of an image in the folder, whoever put it there."""

from __future__ import annotations

import json

import pytest
from modelyard.api import Artifact, Descriptor
from modelyard_registry import manifests
from modelyard_registry.layout import OciLayoutRegistry

from plugins.registry.tests.layout.pushing import REPOSITORY, push, run

BILL = "application/vnd.cyclonedx+json"


def put(registry: OciLayoutRegistry, content: bytes) -> Descriptor:
    """Store a manifest's bytes, as another tool does."""
    digest, size = registry.layout.store(iter([content]))
    return Descriptor(manifests.MANIFEST_TYPE, digest, size)


def put_entry(registry: OciLayoutRegistry, **entry: object) -> None:
    document = json.loads(registry.layout.index_file.read_text())
    document["manifests"].append(entry)
    registry.layout.index_file.write_text(json.dumps(document))


def about(subject: Descriptor) -> bytes:
    return manifests.encode(Artifact(BILL, (), {"author": "another tool"}, subject=subject))


def test_what_another_tool_attached_under_no_name_is_listed(registry: OciLayoutRegistry):
    image = run(push(registry, b"image"))
    theirs = put(registry, about(image))
    put_entry(
        registry, mediaType=theirs.media_type, digest=theirs.digest, size=theirs.size, artifactType=BILL
    )
    (found,) = run(registry.referrers(REPOSITORY, image.digest))
    assert (found.digest, found.artifact_type) == (theirs.digest, BILL)
    run(push(registry, b"ours", tag="2"))
    kept = json.loads(registry.layout.index_file.read_text())["manifests"]
    assert [one["artifactType"] for one in kept if one["digest"] == theirs.digest] == [BILL]


def test_what_stands_in_an_index_that_another_tool_keeps_is_listed_once(registry: OciLayoutRegistry):
    image = run(push(registry, b"image"))
    theirs, absent = put(registry, about(image)), Descriptor(manifests.MANIFEST_TYPE, f"sha256:{'0' * 64}", 3)
    entries = [manifests.encode_descriptor(one) for one in (theirs, theirs, absent)]
    index = put(registry, json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
    named = {"org.opencontainers.image.ref.name": f"{REPOSITORY}:sha256-{image.digest[7:]}"}
    put_entry(
        registry, mediaType=manifests.INDEX_TYPE, digest=index.digest, size=index.size, annotations=named
    )
    assert [one.digest for one in run(registry.referrers(REPOSITORY, image.digest))] == [theirs.digest]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"subject": 1}', b"[" * 100_000])
def test_what_is_no_manifest_speaks_of_nothing_and_hides_nothing(registry: OciLayoutRegistry, content: bytes):
    image = run(push(registry, b"image"))
    theirs, broken = put(registry, about(image)), put(registry, content)
    for one in (broken, theirs):
        put_entry(registry, mediaType=one.media_type, digest=one.digest, size=one.size)
    assert [one.digest for one in run(registry.referrers(REPOSITORY, image.digest))] == [theirs.digest]


def test_a_digest_that_is_a_path_is_not_followed(registry: OciLayoutRegistry):
    image = run(push(registry, b"image"))
    secret = registry.root.parent / "secret"
    secret.write_bytes(about(image))
    put_entry(registry, mediaType=manifests.MANIFEST_TYPE, digest="sha256:../../../secret", size=1)
    assert run(registry.referrers(REPOSITORY, image.digest)) == ()


def test_a_damaged_manifest_can_still_be_deleted(registry: OciLayoutRegistry):
    image = run(push(registry, b"image"))
    registry.layout.blob(image.digest).write_bytes(b"{")
    run(registry.delete(REPOSITORY, image.digest))
    assert registry.layout.read_index().entries == ()
