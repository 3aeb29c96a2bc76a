"""Signing and verifying: who signed is told, and whatever does not prove it is refused."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelyard.api import Artifact, Descriptor, ImageUntrusted, Unavailable, UserError
from modelyard.images import Repository
from modelyard.images.attesting import SigningKey, TrustedKey, sign_image, signing, verify_image
from modelyard.images.attesting.payloads import (
    PAYLOAD_TYPE,
    SIGNATURE,
    signature_tag,
    speaks_of,
    write_payload,
)
from modelyard.images.attesting.signatures import MOST_PAYLOAD_BYTES, MOST_SIGNATURES
from modelyard.testing import InMemoryRegistry

from engine.tests.images.attesting.making_keys import pair
from engine.tests.images.making import BASES, base_config, put_base

Pair = tuple[SigningKey, TrustedKey]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "SETTLING_SECONDS", 0)


@pytest.fixture
def repository() -> Repository:
    return Repository(InMemoryRegistry(), BASES)


@pytest.fixture
def ours(tmp_path: Path) -> Pair:
    return pair(tmp_path, "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Pair:
    return pair(tmp_path, "theirs")


async def put(repository: Repository) -> Descriptor:
    return await put_base(repository.registry, tag="3")


async def plant(
    repository: Repository,
    image: Descriptor,
    *signed: tuple[bytes, str],
    kind: str = PAYLOAD_TYPE,
    size: int = 0,
) -> None:
    """Store payloads with what claims to be their signatures."""
    layers = []
    for payload, signature in signed:
        blob = await repository.registry.push_blob(repository.name, payload, kind)
        layers.append(attrs.evolve(blob, annotations={SIGNATURE: signature}, size=size or blob.size))
    await repository.registry.push(
        repository.name, Artifact("application/x", tuple(layers)), tag=signature_tag(image.digest)
    )


def signed(key: SigningKey, payload: bytes) -> tuple[bytes, str]:
    return payload, base64.b64encode(key.sign(payload)).decode()


def test_a_signed_image_is_trusted_by_whoever_trusts_the_key(
    repository: Repository, ours: Pair, theirs: Pair
):
    async def case() -> None:
        image = await put(repository)
        await sign_image(image, repository, ours[0])
        assert await verify_image(image, repository, [theirs[1], ours[1]]) == (ours[1],)
        with pytest.raises(ImageUntrusted, match="none of its 1 signatures"):
            await verify_image(image, repository, [theirs[1]])

    asyncio.run(case())


def test_an_unsigned_image_is_refused_with_the_way_out(repository: Repository, ours: Pair):
    async def case() -> None:
        image = await put(repository)
        with pytest.raises(ImageUntrusted, match="nobody signed") as caught:
            await verify_image(image, repository, [ours[1]])
        assert image.digest in caught.value.place
        assert "images.trusted_keys" in caught.value.remedy

    asyncio.run(case())


def test_what_is_stored_is_cosigns_document_under_cosigns_tag(repository: Repository, ours: Pair):
    async def case() -> None:
        image = await put(repository)
        await sign_image(image, repository, ours[0])
        found = await repository.registry.pull(BASES, f"sha256-{image.digest.removeprefix('sha256:')}.sig")
        (layer,) = found.layers
        assert layer.media_type == "application/vnd.dev.cosign.simplesigning.v1+json"
        payload = b"".join([one async for one in repository.registry.read_blob(BASES, layer.digest)])
        assert json.loads(payload) == {
            "critical": {
                "identity": {"docker-reference": BASES},
                "image": {"docker-manifest-digest": image.digest},
                "type": "cosign container image signature",
            },
            "optional": None,
        }
        signature = base64.b64decode(layer.annotations["dev.cosignproject.cosign/signature"])
        assert ours[1].accepts(signature, payload)
        assert found.config
        config = b"".join([one async for one in repository.registry.read_blob(BASES, found.config.digest)])
        assert json.loads(config)["rootfs"]["diff_ids"] == [layer.digest]

    asyncio.run(case())


def test_signing_twice_changes_nothing(repository: Repository, ours: Pair):
    async def case() -> None:
        image = await put(repository)
        first = await sign_image(image, repository, ours[0])
        assert await sign_image(image, repository, ours[0]) == first

    asyncio.run(case())


def test_signatures_of_others_are_kept(repository: Repository, ours: Pair, theirs: Pair):
    async def case() -> None:
        image = await put(repository)
        for key, _ in (theirs, ours):
            await sign_image(image, repository, key)
        assert await verify_image(image, repository, [ours[1], theirs[1]]) == (ours[1], theirs[1])

    asyncio.run(case())


def test_two_who_sign_at_once_are_both_there(repository: Repository, ours: Pair, theirs: Pair):
    async def case() -> None:
        image = await put(repository)
        await asyncio.gather(*(sign_image(image, repository, key) for key, _ in (ours, theirs)))
        assert len(await verify_image(image, repository, [ours[1], theirs[1]])) == 2

    asyncio.run(case())


class Forgetful(InMemoryRegistry):
    """Somebody else writes the tag after every write of ours."""

    async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
        stored = await super().push(repository, artifact, tag=tag)
        if tag.endswith(".sig"):
            await super().push(repository, Artifact("application/x", ()), tag=tag)
        return stored


def test_signing_against_somebody_who_always_overwrites_ends(ours: Pair):
    repository = Repository(Forgetful(), BASES)

    async def case() -> None:
        with pytest.raises(Unavailable, match="all the time"):
            await sign_image(await put(repository), repository, ours[0])

    asyncio.run(case())


def test_the_signature_of_another_image_is_none_of_this_one(repository: Repository, ours: Pair):
    async def case() -> None:
        image = await put(repository)
        other = await put_base(repository.registry, tag="4", config=base_config(architecture="arm64"))
        await sign_image(other, repository, ours[0])
        moved = await repository.registry.pull(BASES, signature_tag(other.digest))
        await repository.registry.push(BASES, moved, tag=signature_tag(image.digest))
        with pytest.raises(ImageUntrusted, match="none of its 1"):
            await verify_image(image, repository, [ours[1]])

    asyncio.run(case())


def test_a_document_that_somebody_changed_is_refused(repository: Repository, ours: Pair):
    async def case() -> None:
        image = await put(repository)
        _, signature = signed(ours[0], write_payload("elsewhere", image.digest))
        await plant(repository, image, (write_payload(BASES, image.digest), signature))
        with pytest.raises(ImageUntrusted):
            await verify_image(image, repository, [ours[1]])

    asyncio.run(case())


@pytest.mark.parametrize(
    "signature", ["", "!", "AA==", "A" * 5000, base64.b64encode(bytes(72)).decode(), "é"]
)
def test_what_is_no_signature_is_refused_and_hides_no_real_one(
    repository: Repository, ours: Pair, signature: str
):
    async def case() -> None:
        image = await put(repository)
        payload = write_payload(BASES, image.digest)
        await plant(repository, image, (payload, signature))
        with pytest.raises(ImageUntrusted):
            await verify_image(image, repository, [ours[1]])
        await plant(repository, image, (payload, signature), signed(ours[0], payload))
        assert await verify_image(image, repository, [ours[1]]) == (ours[1],)

    asyncio.run(case())


def test_a_signed_document_of_another_kind_is_none(repository: Repository, ours: Pair):
    async def case() -> None:
        image = await put(repository)
        payload = write_payload(BASES, image.digest).replace(b"cosign container image", b"something else's")
        await plant(repository, image, signed(ours[0], payload))
        with pytest.raises(ImageUntrusted):
            await verify_image(image, repository, [ours[1]])
        await plant(repository, image, signed(ours[0], write_payload(BASES, image.digest)), kind="text/plain")
        with pytest.raises(ImageUntrusted, match="none of its 0"):
            await verify_image(image, repository, [ours[1]])

    asyncio.run(case())


def test_fields_that_are_unknown_do_not_matter(repository: Repository, ours: Pair):
    async def case() -> None:
        image = await put(repository)
        document = json.loads(write_payload(BASES, image.digest))
        document["optional"] = {"built-by": "somebody"}
        document["critical"]["more"] = 1
        await plant(repository, image, signed(ours[0], json.dumps(document, indent=2).encode()))
        assert await verify_image(image, repository, [ours[1]]) == (ours[1],)

    asyncio.run(case())


@pytest.mark.parametrize("size", [0, 10])
def test_a_document_larger_than_any_is_not_read(repository: Repository, ours: Pair, size: int):
    async def case() -> None:
        image = await put(repository)
        payload = write_payload(BASES, image.digest) + b" " * MOST_PAYLOAD_BYTES
        await plant(repository, image, signed(ours[0], payload), size=size)
        with pytest.raises(ImageUntrusted, match="none of its 0"):
            await verify_image(image, repository, [ours[1]])

    asyncio.run(case())


def test_more_signatures_than_anybody_has_are_refused(repository: Repository, ours: Pair):
    async def case() -> None:
        image = await put(repository)
        one = (b"{}", "AA==")
        await plant(repository, image, *[one] * (MOST_SIGNATURES + 1))
        with pytest.raises(UserError, match="more than 100 signatures"):
            await verify_image(image, repository, [ours[1]])

    asyncio.run(case())


def test_without_keys_nobody_is_trusted(repository: Repository, ours: Pair):
    async def case() -> None:
        image = await put(repository)
        await sign_image(image, repository, ours[0])
        with pytest.raises(ImageUntrusted):
            await verify_image(image, repository, [])

    asyncio.run(case())


NAMES = st.sampled_from(["critical", "image", "type", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_document_but_the_right_one_speaks_of_an_image(payload: bytes):
    assert not speaks_of(payload, f"sha256:{'0' * 64}")
