"""For authors of plugins: conformance suites, fakes and a pytest plugin; needs pytest.

Here live only subjects and judges of tests; nothing the engine runs may live here or import it.
May import every room that a plugin's promise touches: `host`, `hookspecs`, `api`.
"""

import pytest

pytest.register_assert_rewrite("modelyard.testing.conformance")

from modelyard.testing.conformance import (  # noqa: E402  asserts are rewritten before they are imported
    AuthenticatorConformance,
    CheckConformance,
    DeviceBackendConformance,
    PluginConformance,
    RegistryConformance,
    ScalerConformance,
    TargetConformance,
)
from modelyard.testing.fakes import FakeDeviceBackend, FakePlace, FakeTarget  # noqa: E402  the same
from modelyard.testing.plugins import FakeEntryPoint, plugin_from  # noqa: E402  the same
from modelyard.testing.registries import InMemoryRegistry  # noqa: E402  the same

__all__ = [
    "AuthenticatorConformance",
    "CheckConformance",
    "DeviceBackendConformance",
    "FakeDeviceBackend",
    "FakeEntryPoint",
    "FakePlace",
    "FakeTarget",
    "InMemoryRegistry",
    "PluginConformance",
    "RegistryConformance",
    "ScalerConformance",
    "TargetConformance",
    "plugin_from",
]
