"""Docker's daemon and a base image, for the tests that want them."""

from tests.testbed.fixtures import base_of_machine, docker_address  # noqa: F401  fixtures
