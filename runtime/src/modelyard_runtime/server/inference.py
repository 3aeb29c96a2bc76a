"""An Open Inference Protocol request, whatever carried it, through the script's `run()`."""

from __future__ import annotations

from functools import partial

import modelyard_runtime
from modelyard_runtime.oip.tensors import InferRequest, OipError, Tensor
from modelyard_runtime.scoring import Script, outputs_of, tensor_text
from modelyard_runtime.server.admission import Gone
from modelyard_runtime.server.problems import BadInput, NotFound, Problem, ResultUnusable
from modelyard_runtime.server.score import problem_of
from modelyard_runtime.server.service import ScriptRaised, Service

NAME = "modelyard-runtime"
VERSION = modelyard_runtime.__version__
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "python_script"


def find_model(service: Service, name: str, version: str) -> str:
    """Return the version that serves under this name. Raises `NotFound`."""
    versions = service.models.get(name)
    if versions is None:
        raise NotFound(f"no model is called '{name}'; there are {', '.join(service.models)}")
    if version and version not in versions:
        raise NotFound(f"model '{name}' has no version '{version}'; there are {', '.join(versions)}")
    return version or versions[-1]


async def infer(
    service: Service, request: InferRequest, headers: dict[str, str], *, deadline: float, gone: Gone
) -> tuple[Tensor, ...]:
    """Run the request. Raises a `Problem`."""
    if not request.inputs:
        raise BadInput("the request has no inputs")
    if len({tensor.name for tensor in request.inputs}) < len(request.inputs):
        raise BadInput("two inputs have the same name")
    work = partial(_run, service.script, request, headers)
    try:
        result: tuple[Tensor, ...] = await service.perform(work, deadline=deadline, gone=gone)
    except ScriptRaised as raised:
        raise _problem_of(raised.failure) from raised
    return result


def _run(script: Script, request: InferRequest, headers: dict[str, str]) -> tuple[Tensor, ...]:
    try:
        text = tensor_text(request.inputs)
    except OipError as error:
        raise BadInput(str(error)) from error
    result = script.call(text, headers)
    try:
        return outputs_of(result, request.outputs)
    except OipError as error:
        raise ResultUnusable(str(error)) from error


def _problem_of(failure: BaseException) -> Problem:
    return failure if isinstance(failure, Problem) else problem_of(failure)
