"""What a spec may ask for that processes cannot give. Pure."""

from __future__ import annotations

from modelyard.api import Refusal, ServiceSpec

_REMEDY = "remove it, or choose a target that runs images"


def refusals(spec: ServiceSpec, *, plugin: str) -> tuple[Refusal, ...]:
    """Refuse whatever needs an image; empty = all of it can be served."""
    environment = spec.environment
    asked = (
        (environment.conda, "conda_unsupported", "the process target cannot install conda packages"),
        (
            environment.docker_steps,
            "docker_steps_unsupported",
            "the process target has no image to change",
        ),
        (
            environment.dockerfile,
            "dockerfile_unsupported",
            "the process target has no image that a Dockerfile could make",
        ),
        (environment.base, "base_unsupported", "the process target runs no base image"),
    )
    return tuple(
        Refusal(plugin=plugin, code=code, message=message, remedy=_REMEDY)
        for value, code, message in asked
        if value
    )
