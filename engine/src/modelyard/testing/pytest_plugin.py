"""Fixtures for plugin authors; switch on with `pytest_plugins = ["modelyard.testing.pytest_plugin"]`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest

from modelyard.api import PluginSettings
from modelyard.host import Host, load
from modelyard.testing.fakes import FakePlace, FakeTarget
from modelyard.testing.registries import InMemoryRegistry

HostMaker = Callable[..., Host]


@pytest.fixture
def host_with() -> Iterator[HostMaker]:
    """Load just the entry points given: `host_with(plugin, other, settings=PluginSettings(...))`."""
    hosts: list[Host] = []

    def make(*entry_points: EntryPoint, settings: PluginSettings | None = None) -> Host:
        hosts.append(load(settings or PluginSettings(), entry_points=entry_points))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def memory_registry() -> InMemoryRegistry:
    """Give an empty registry."""
    return InMemoryRegistry()


@pytest.fixture
def fake_place() -> FakePlace:
    """Give an empty place for fake targets."""
    return FakePlace()


@pytest.fixture
def fake_target(fake_place: FakePlace) -> FakeTarget:
    """Give a target over `fake_place`."""
    return FakeTarget(fake_place)
