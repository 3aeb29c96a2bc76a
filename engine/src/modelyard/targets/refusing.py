"""What a spec may ask for that processes cannot give. Pure."""

from __future__ import annotations

from modelyard.api import Refusal, ServiceSpec

_REMEDY = "remove it, or choose a target that runs images"
_ONE_SCRIPT = "take multi_model out of engine.yaml: init() finds every model under AZUREML_MODEL_DIR"


def refusals(spec: ServiceSpec, *, plugin: str) -> tuple[Refusal, ...]:
    """Refuse whatever needs an image, and what its replicas do not do; empty = all of it can be served."""
    environment = spec.environment
    asked = (
        (environment.conda, "conda_unsupported", "the process target cannot install conda packages", _REMEDY),
        (
            environment.docker_steps,
            "docker_steps_unsupported",
            "the process target has no image to change",
            _REMEDY,
        ),
        (environment.base, "base_unsupported", "the process target runs no base image", _REMEDY),
        (
            spec.multi_model.enabled,
            "multi_model_unsupported",
            "this release's replicas do not load models by name",
            _ONE_SCRIPT,
        ),
    )
    return tuple(
        Refusal(plugin=plugin, code=code, message=message, remedy=remedy)
        for value, code, message, remedy in asked
        if value
    )
