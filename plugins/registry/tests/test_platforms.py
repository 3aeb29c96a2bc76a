"""An index gives the manifest for a machine, or says what it was built for."""

from __future__ import annotations

import json

import pytest
from modelyard.api import NotFound, Platform, StoreDamaged
from modelyard_registry.platforms import choose

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


def index(*platforms: Platform | None) -> bytes:
    manifests = [
        {"mediaType": "t", "digest": str(number), "size": 1}
        | ({"platform": {"os": p.os, "architecture": p.architecture, "variant": p.variant}} if p else {})
        for number, p in enumerate(platforms)
    ]
    return json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()


def test_the_manifest_of_the_platform_is_chosen():
    assert choose(index(None, AMD64, ARM64), ARM64, "here").digest == "2"


@pytest.mark.parametrize(
    ("offered", "remedy"), [((AMD64,), "linux/amd64"), ((), "nothing"), ((None,), "nothing")]
)
def test_a_platform_that_is_missing_is_told_beside_those_there_are(
    offered: tuple[Platform | None, ...], remedy: str
):
    with pytest.raises(NotFound) as caught:
        choose(index(*offered), ARM64, "here")
    assert "linux/arm64" in caught.value.message
    assert caught.value.remedy.endswith(remedy)
    assert caught.value.place == "here"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"manifests": 1}', b'{"manifests": [{}]}', b"[" * 100_000]
)
def test_what_is_no_index_is_damage(content: bytes):
    with pytest.raises(StoreDamaged):
        choose(content, AMD64, "here")
