"""The plugin finds the same folder as the engine, by the same rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.processes.home import find_home
from modelyard_registry import find_root, find_servers_file, find_spool, plugin

FOLDERS = st.sampled_from([None, "", "/srv/one", "/srv/two/../three", "~/four", "five"])


@given(home=FOLDERS, state=FOLDERS, user=st.sampled_from([None, "", "/home/somebody"]))
def test_what_it_reads_and_writes_is_in_the_engines_home(
    home: str | None, state: str | None, user: str | None
):
    named = {"MODELYARD_HOME": home, "XDG_STATE_HOME": state, "HOME": user}
    environ = {key: value for key, value in named.items() if value is not None}
    assert find_root(environ) == find_home(environ).registry
    assert find_servers_file(environ).parent == find_home(environ).settings_file.parent
    assert find_spool(environ).parent == find_home(environ).cache


def test_a_root_of_its_own_wins(tmp_path: Path):
    environ = {"MODELYARD_REGISTRY_ROOT": str(tmp_path), "MODELYARD_HOME": "/elsewhere"}
    assert find_root(environ) == tmp_path


def test_the_plugin_offers_the_layout_and_makes_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    monkeypatch.setenv("MODELYARD_REGISTRY_ROOT", str(tmp_path / "registry"))
    record, docker = plugin.offer_registries()
    assert (record.name, docker.name) == ("oci-layout", "docker-daemon")
    assert list(tmp_path.iterdir()) == []
