"""The promise of `Registry`, by what it is about: blobs, artifacts, images, referrers."""

from modelyard.testing.conformance.registries.suite import RegistryConformance

__all__ = ["RegistryConformance"]
