"""The promise of a plugin as a whole: what the host cannot check while it loads."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, PackageMetadata, entry_points
from typing import Any, get_type_hints

import pytest
from packaging.requirements import Requirement

import modelyard.api
from modelyard import hookspecs
from modelyard.api import SERVED_API_LEVELS, Maturity, PluginSettings, PluginState
from modelyard.host import load

MARK = f"{hookspecs.GROUP}_impl"
NAMES = {**vars(modelyard.api), **vars(hookspecs)}
"""What annotations may refer to though the names are imported for type checkers alone."""


class PluginConformance:
    """Override `plugin_name`: the name of an installed plugin's entry point."""

    @pytest.fixture
    def plugin_name(self) -> str:
        """Name the plugin under test."""
        raise NotImplementedError

    @pytest.fixture
    def entry_point(self, plugin_name: str) -> EntryPoint:
        """Find the plugin's only entry point."""
        (found,) = entry_points(group=hookspecs.GROUP, name=plugin_name)
        return found

    @pytest.fixture
    def metadata(self, entry_point: EntryPoint) -> PackageMetadata:
        """Read the metadata of the plugin's distribution."""
        assert entry_point.dist is not None
        return entry_point.dist.metadata

    def test_it_is_active_alone_in_a_host(self, entry_point: EntryPoint) -> None:
        """It needs no other plugin to load."""
        host = load(PluginSettings(), entry_points=[entry_point])
        (record,) = host.records
        host.close()
        assert record.state is PluginState.ACTIVE, record.reason
        assert record.hooks

    def test_it_speaks_a_served_api_level(self, entry_point: EntryPoint) -> None:
        """And its maturity, where it names one, is a `Maturity`."""
        plugin = entry_point.load()
        assert plugin.api_level in SERVED_API_LEVELS
        assert isinstance(getattr(plugin, "maturity", Maturity.ALPHA), Maturity)

    def test_its_hooks_are_annotated_as_specified(self, entry_point: EntryPoint) -> None:
        """Neither pluggy nor mypy compares an implementation with its specification."""
        for hook in _hooks(entry_point.load()):
            specified = getattr(hook, MARK)["specname"] or hook.__name__
            expected = get_type_hints(getattr(hookspecs, specified), globalns=NAMES)
            taken = set(inspect.signature(hook).parameters) | {"return"}
            wanted = {name: hint for name, hint in expected.items() if name in taken}
            assert get_type_hints(hook, localns=NAMES) == wanted, hook.__name__

    def test_its_hooks_take_no_default_arguments(self, entry_point: EntryPoint) -> None:
        """A default would hide that a hook does not get what it asks for."""
        for hook in _hooks(entry_point.load()):
            parameters = inspect.signature(hook).parameters.values()
            assert all(one.default is inspect.Parameter.empty for one in parameters), hook.__name__

    def test_its_metadata_is_complete(self, metadata: PackageMetadata) -> None:
        """A person who finds it in a list learns what it is and under which licence."""
        for field in ("Name", "Version", "Summary", "Requires-Python"):
            assert metadata.get_all(field), field
        assert metadata.get_all("License-Expression") or metadata.get_all("License")

    def test_it_says_which_engines_it_works_with(self, metadata: PackageMetadata) -> None:
        """A lower and an upper bound on `modelyard`."""
        if metadata["Name"] == "modelyard":
            pytest.skip("the engine's own plugin travels with its engine")
        needs = [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]
        engines = [need.specifier for need in needs if need.name == "modelyard"]
        assert engines
        operators = {one.operator for bounds in engines for one in bounds}
        assert operators & {">=", ">", "~=", "=="}
        assert operators & {"<", "<=", "~=", "=="}


def _hooks(plugin: object) -> list[Callable[..., Any]]:
    functions = (getattr(plugin, name) for name in dir(plugin))
    return [one for one in functions if inspect.isfunction(one) and hasattr(one, MARK)]
