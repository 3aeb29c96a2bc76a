"""An image as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import ImageUnbuildable
from modelyard.images import Addition, Base, Image, Part, Start

BASE = Base("python:3", "sha256:0", (), {})


@given(st.permutations(list(Part)))
def test_the_most_stable_layers_lie_lowest_in_whatever_order_they_are_given(parts: list[Part]):
    image = Image(BASE, [Addition(part, ()) for part in parts], "digits")
    names = [addition.part.name for addition in image.additions]
    assert names == ["CONDA", "ENVIRONMENT", "RUNTIME", "MODELS", "CODE", "ENGINE"]


@pytest.mark.parametrize("user", ["", "0", "0:0", "root", "00", "-1", "modelyard", "1000:users"])
def test_no_replica_runs_as_root_or_under_a_name_that_a_node_cannot_judge(user: str):
    with pytest.raises(ImageUnbuildable, match="no user that a replica may run as"):
        Start(user=user)


@pytest.mark.parametrize("user", ["65532:65532", "1000", "1000:0"])
def test_any_other_number_is_a_user(user: str):
    assert Start(user=user).user == user
