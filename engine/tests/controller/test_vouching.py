"""Nothing is built upon a base that nobody signed, where the settings demand it; and a plan says who was asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import attrs
import pytest
from modelyard.api import Descriptor, EnvironmentSpec, ImageSettings, ImageUntrusted, Platform, UserError
from modelyard.controller.artifacts.vouching import BaseTrust
from modelyard.images import DAEMON, Located, Repository, find_base
from modelyard.images.attesting import SigningKey, sign_image
from modelyard.testing import InMemoryRegistry

from engine.tests.images.attesting.making_keys import pair
from engine.tests.images.layering import layer, put_image
from engine.tests.images.making import AMD64, BASES


@attrs.define
class Indexed(InMemoryRegistry):
    """A registry in which a tag names an index of one image."""

    index: Descriptor | None = None

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        if self.index and reference in ("multi", self.index.digest):
            return self.index
        return await super().resolve(repository, reference)

    async def resolve_platform(self, repository: str, reference: str, platform: Platform) -> Descriptor:
        if self.index and reference in ("multi", self.index.digest):
            reference = "3"
        return await super().resolve_platform(repository, reference, platform)


@attrs.define
class Stand:
    """A base in a registry, a key that is trusted for bases, and settings that demand it."""

    registry: Indexed
    key: SigningKey
    settings: ImageSettings

    def sign(self, image: Descriptor, key: SigningKey | None = None) -> None:
        asyncio.run(sign_image(image, Repository(self.registry, BASES), key or self.key))

    def vouch(self, pointer: str = "3") -> str:
        async def case() -> str:
            base = await find_base(Repository(self.registry, BASES), pointer, AMD64)
            located = Located(self.registry, BASES, pointer)
            return await BaseTrust(self.settings).vouch(base, located, AMD64)

        return asyncio.run(case())

    def base(self) -> Descriptor:
        return asyncio.run(self.registry.resolve(BASES, "3"))


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    registry = Indexed()
    key, _ = pair(tmp_path, "builder")
    asyncio.run(put_image(registry, [layer({"a": b"a"})]))
    settings = ImageSettings(verify_bases="required", base_keys=(tmp_path / "builder.pub",))
    return Stand(registry, key, settings)


def test_a_base_that_a_key_for_bases_signed_is_told_with_the_key(stand: Stand):
    stand.sign(stand.base())
    assert stand.vouch().endswith("signed by builder.pub")


def test_a_base_that_nobody_signed_is_refused_with_its_place_and_a_remedy(stand: Stand):
    with pytest.raises(ImageUntrusted, match="the base is not trusted") as caught:
        stand.vouch()
    assert stand.base().digest in caught.value.place
    assert "environment.base" in caught.value.place
    assert "images.base_keys" in caught.value.remedy


def test_a_key_that_is_trusted_for_our_own_images_counts_nothing_for_bases(stand: Stand, tmp_path: Path):
    other, _ = pair(tmp_path, "own")
    stand.settings = attrs.evolve(stand.settings, trusted_keys=(tmp_path / "own.pub",))
    stand.sign(stand.base(), other)
    with pytest.raises(ImageUntrusted):
        stand.vouch()


def test_a_signature_of_the_index_that_names_the_base_counts(stand: Stand):
    content = json.dumps({"manifests": [stand.base().digest]}).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    stand.registry.index = Descriptor("application/vnd.oci.image.index.v1+json", digest, len(content))
    stand.sign(stand.registry.index)
    assert "signed by builder.pub" in stand.vouch("multi")
    with pytest.raises(ImageUntrusted):
        stand.vouch("3")


def test_without_a_demand_a_plan_says_that_nobody_was_asked(stand: Stand):
    stand.settings = ImageSettings()
    assert "its signature is not checked (images.verify_bases is never)" in stand.vouch()


def test_dockers_own_store_keeps_no_signatures(stand: Stand):
    stand.registry.name = DAEMON
    with pytest.raises(ImageUntrusted, match="Docker's own store") as caught:
        stand.vouch()
    assert "registries.toml" in caught.value.remedy


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        (EnvironmentSpec(dockerfile="FROM x"), "environment.dockerfile"),
        (
            EnvironmentSpec(docker_steps=("RUN true", "COPY --from=busybox /a /b")),
            "environment.docker_steps:2",
        ),
    ],
)
def test_images_that_docker_picks_are_refused(stand: Stand, spec: EnvironmentSpec, place: str):
    with pytest.raises(ImageUntrusted) as caught:
        BaseTrust(stand.settings).refuse_unchecked(spec)
    assert caught.value.place == place
    BaseTrust(ImageSettings()).refuse_unchecked(spec)
    BaseTrust(stand.settings).refuse_unchecked(EnvironmentSpec(docker_steps=("COPY a b",)))


def test_keys_that_are_missing_are_named_by_their_setting(stand: Stand, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    stand.settings = attrs.evolve(stand.settings, base_keys=(tmp_path / "empty",))
    with pytest.raises(UserError, match="no key is trusted") as caught:
        stand.vouch()
    assert caught.value.place == "images.base_keys"
