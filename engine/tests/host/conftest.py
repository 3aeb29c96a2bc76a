from modelyard.testing.pytest_plugin import host_with

__all__ = ["host_with"]
