"""Kinds: where the API server serves them."""

from __future__ import annotations

import pytest
from modelyard.kube.kinds import DEPLOYMENT, KINDS, MODEL_SERVICE, POD, kind_of


def test_kinds_of_the_core_have_no_group_in_their_path() -> None:
    assert POD.path == "/api/v1"
    assert POD.api_version == "v1"


def test_kinds_of_a_group_name_it_in_their_path() -> None:
    assert DEPLOYMENT.path == "/apis/apps/v1"
    assert MODEL_SERVICE.path == "/apis/modelyard.dev/v1alpha1"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_an_objects_kind_is_found_by_what_it_says_of_itself(kind: object) -> None:
    assert kind_of({"apiVersion": kind.api_version, "kind": kind.kind}) is kind  # type: ignore[attr-defined]  # a Kind


def test_an_unlisted_kind_is_no_kind_of_ours() -> None:
    with pytest.raises(KeyError):
        kind_of({"apiVersion": "batch/v1", "kind": "Job"})
