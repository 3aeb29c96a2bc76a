"""What every implementation of a Protocol must keep, one promise a case.

Subclass a suite and override its fixture; nothing else is needed.
"""

from modelyard.testing.conformance.authenticators import AuthenticatorConformance
from modelyard.testing.conformance.checks import CheckConformance
from modelyard.testing.conformance.devices import DeviceBackendConformance
from modelyard.testing.conformance.plugins import PluginConformance
from modelyard.testing.conformance.registries import RegistryConformance
from modelyard.testing.conformance.scalers import ScalerConformance
from modelyard.testing.conformance.targets import TargetConformance

__all__ = [
    "AuthenticatorConformance",
    "CheckConformance",
    "DeviceBackendConformance",
    "PluginConformance",
    "RegistryConformance",
    "ScalerConformance",
    "TargetConformance",
]
