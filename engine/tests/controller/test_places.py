"""An image is built for the places where replicas could run, and in a compression that they can read."""

from __future__ import annotations

import pytest
from modelyard.api import READABLE_LAYERS, Candidate, Descriptor, ImageUnbuildable
from modelyard.controller.artifacts.places import check_compression, check_layers, platform_for
from modelyard.images import Base
from modelyard.images.layers import GZIP_TYPE, ZSTD_TYPE

OLD = Candidate("old", 1000, 1 << 30, {READABLE_LAYERS: "gzip"})
NEW = Candidate("new", 1000, 1 << 30, {READABLE_LAYERS: "gzip zstd"})
ANY = Candidate("any", 1000, 1 << 30)


def base(*kinds: str) -> Base:
    return Base("python:3", "sha256:b", tuple(Descriptor(kind, "sha256:l", 1) for kind in kinds), {})


def test_images_are_built_for_the_machine_of_the_place():
    arm = (Candidate("pi", 1, 1, {"kubernetes.io/arch": "arm64"}),)
    assert str(platform_for(arm)) == "linux/arm64"
    assert platform_for(()).os == "linux"


def test_a_compression_that_nobody_reads_is_refused_with_its_setting_and_a_remedy():
    with pytest.raises(ImageUnbuildable, match="old reads gzip") as caught:
        check_compression((OLD,), "zstd")
    assert caught.value.place == "settings.yaml: images.compression"
    assert "Docker to 23" in caught.value.remedy


def test_a_base_that_nobody_reads_is_refused_by_its_name():
    with pytest.raises(ImageUnbuildable) as caught:
        check_layers((OLD,), base(GZIP_TYPE, ZSTD_TYPE))
    assert caught.value.place == "environment.base: python:3"
    check_layers((OLD,), base(GZIP_TYPE))


@pytest.mark.parametrize("places", [(), (NEW,), (ANY,), (OLD, NEW)])
def test_one_place_that_reads_it_is_enough_and_who_says_nothing_reads_all(places: tuple[Candidate, ...]):
    check_compression(places, "zstd")
    check_layers(places, base(ZSTD_TYPE))
    check_compression((OLD,), "gzip")
