"""The testbed, for the tests here."""

from __future__ import annotations

from tests.testbed.fixtures import docker_daemon

__all__ = ["docker_daemon"]
