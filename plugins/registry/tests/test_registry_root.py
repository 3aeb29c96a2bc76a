"""The plugin finds the same folder as the engine, by the same rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.processes.home import find_home
from modelyard_registry import find_root, plugin

FOLDERS = st.sampled_from([None, "", "/srv/one", "/srv/two/../three", "~/four", "five"])


@given(home=FOLDERS, state=FOLDERS, user=st.sampled_from([None, "", "/home/somebody"]))
def test_it_is_the_registry_folder_of_the_engines_home(home: str | None, state: str | None, user: str | None):
    named = {"MODELYARD_HOME": home, "XDG_STATE_HOME": state, "HOME": user}
    environ = {key: value for key, value in named.items() if value is not None}
    assert find_root(environ) == find_home(environ).registry


def test_a_root_of_its_own_wins(tmp_path: Path):
    environ = {"MODELYARD_REGISTRY_ROOT": str(tmp_path), "MODELYARD_HOME": "/elsewhere"}
    assert find_root(environ) == tmp_path


def test_the_plugin_offers_the_layout_and_makes_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MODELYARD_REGISTRY_ROOT", str(tmp_path / "registry"))
    (record,) = plugin.offer_registries()
    assert record.name == "oci-layout"
    assert not (tmp_path / "registry").exists()
