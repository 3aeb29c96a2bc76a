"""Machines name themselves in many ways; images in one."""

from __future__ import annotations

import pytest
from modelyard.api import ImageUnbuildable
from modelyard.images import platform_of


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", "linux/amd64"),
        ("AMD64", "linux/amd64"),
        ("amd64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("arm64", "linux/arm64"),
    ],
)
def test_a_machine_has_a_platform(machine: str, platform: str):
    assert str(platform_of(machine)) == platform


def test_a_machine_without_a_runtime_is_refused_with_those_that_have_one():
    with pytest.raises(ImageUnbuildable, match="riscv64") as caught:
        platform_of("riscv64")
    assert "amd64, arm64" in caught.value.remedy
