"""What is built here is signed, and nothing starts that nobody trusted signed, where the settings say so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from modelyard.api import Descriptor, ImageRef, ImageSettings, ImageUntrusted, UserError
from modelyard.controller.artifacts.trusting import Trust
from modelyard.images import Repository
from modelyard.testing import InMemoryRegistry

from engine.tests.images.attesting.making_keys import new_private, write_private, write_public
from engine.tests.images.layering import layer, put_image

NAME = "images/services/digits"


@pytest.fixture
def registry() -> InMemoryRegistry:
    return InMemoryRegistry()


def make_pair(folder: Path) -> tuple[Path, Path]:
    key = new_private()
    return write_private(folder / "signing.key", key), write_public(folder / "signing.pub", key)


def image(registry: InMemoryRegistry) -> Descriptor:
    return asyncio.run(put_image(registry, [layer({"a": b"a"})], repository=NAME))


def verify(trust: Trust, registry: InMemoryRegistry, made: Descriptor) -> None:
    asyncio.run(trust.verify(ImageRef(registry.name, NAME, made.digest), registry))


def sign(trust: Trust, registry: InMemoryRegistry, made: Descriptor) -> None:
    asyncio.run(trust.sign(made, Repository(registry, NAME)))


def test_what_was_signed_by_a_trusted_key_may_start(registry: InMemoryRegistry, tmp_path: Path):
    private, public = make_pair(tmp_path)
    trust = Trust(ImageSettings(signing_key=private, verify="required", trusted_keys=(public,)))
    made = image(registry)
    with pytest.raises(ImageUntrusted, match="nobody signed"):
        verify(trust, registry, made)
    sign(trust, registry, made)
    verify(trust, registry, made)


def test_a_signature_of_somebody_else_is_none(registry: InMemoryRegistry, tmp_path: Path):
    (tmp_path / "theirs").mkdir()
    theirs, _ = make_pair(tmp_path / "theirs")
    _, public = make_pair(tmp_path)
    made = image(registry)
    sign(Trust(ImageSettings(signing_key=theirs)), registry, made)
    with pytest.raises(ImageUntrusted):
        verify(Trust(ImageSettings(verify="required", trusted_keys=(public,))), registry, made)


def test_without_a_word_in_the_settings_nothing_is_signed_or_asked(registry: InMemoryRegistry):
    made = image(registry)
    trust = Trust(ImageSettings())
    sign(trust, registry, made)
    verify(trust, registry, made)
    assert asyncio.run(registry.list_tags(NAME)) == ("3",)


def test_signatures_that_are_required_need_a_key_to_trust(registry: InMemoryRegistry):
    with pytest.raises(UserError, match="no key is trusted"):
        verify(Trust(ImageSettings(verify="required")), registry, image(registry))
