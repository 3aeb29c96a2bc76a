"""A package index, a runtime and a Python, as the room below has them for its own tests."""

from engine.tests.environments.conftest import (  # noqa: F401  fixtures
    base,
    index,
    interpreter,
    runtime,
    uv_cache,
)
