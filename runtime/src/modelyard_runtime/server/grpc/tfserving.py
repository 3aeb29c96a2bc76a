"""TensorFlow Serving's calls: Predict, and the two questions its clients ask first."""

from __future__ import annotations

from google.protobuf.message import Message

from modelyard_runtime.oip.datatypes import OipError
from modelyard_runtime.scoring import Standing
from modelyard_runtime.server.about import declared
from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.methods import Method, parse, unary
from modelyard_runtime.server.inference import not_tensors, request_for
from modelyard_runtime.server.problems import UNAVAILABLE, BadInput
from modelyard_runtime.server.service import Service
from modelyard_runtime.tfserving import predict
from modelyard_runtime.tfserving import predict_pb2 as pb
from modelyard_runtime.worker.replies import Inferred

PREDICTION_SERVICE = "/tensorflow.serving.PredictionService/"
MODEL_SERVICE = "/tensorflow.serving.ModelService/"
_SIGNATURES = "signature_def"
_SIGNATURES_URL = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
_STATES = {
    "READY": pb.ModelVersionStatus.AVAILABLE,
    "LOADING": pb.ModelVersionStatus.LOADING,
    "UNLOADING": pb.ModelVersionStatus.UNLOADING,
    "UNAVAILABLE": pb.ModelVersionStatus.END,
}
"""By the Open Inference Protocol's words for the same."""


async def _predict(call: Call) -> None:
    message = parse(pb.PredictRequest, *await call.message())
    service = call.service
    try:
        asked = predict.decode(message, limit_bytes=service.contract.max_body_bytes)
    except OipError as error:
        raise BadInput(str(error), place=error.place) from error
    key = (asked.model, asked.version)
    pool = service.pools.get(key) or await service.find(*key, call.deadline)
    request = request_for(pool, asked.inputs, asked.outputs, call.scope)
    reply = await pool.submit(request, call.limit, call.gone, caller_deadline=call.client_deadline)
    if type(reply) is not Inferred:
        raise not_tensors(reply)
    model = asked.model or service.main
    version = asked.version or service.models[model][-1]
    answer = predict.encode(model, version, reply.outputs)
    await call.answer((answer.SerializeToString(),), last=True)


async def _metadata(call: Call, asked: pb.GetModelMetadataRequest) -> Message:
    for field in asked.metadata_field:
        if field != _SIGNATURES:
            raise BadInput(f"metadata '{field}' is not known; there is {_SIGNATURES}", place="metadata_field")
    model, version = _names(asked.model_spec)
    versions = call.service.versions(model, version)
    made = predict.signatures(*declared(call.service, model, version))
    answer = pb.GetModelMetadataResponse(
        model_spec=predict.specification(model or call.service.main, version or versions[-1])
    )
    packed = answer.metadata[_SIGNATURES]
    packed.type_url, packed.value = _SIGNATURES_URL, made.SerializeToString()
    return answer


async def _status(call: Call, asked: pb.GetModelStatusRequest) -> Message:
    model, version = _names(asked.model_spec)
    answer = pb.GetModelStatusResponse()
    call.service.versions(model, version)
    for one in call.service.catalog.standings():
        asked_for = one.name == (model or call.service.main) and version in {"", one.version}
        if asked_for and one.version.isdecimal():
            _describe(one, answer.model_version_status.add(version=int(one.version)), call.service)
    return answer


def _describe(standing: Standing, status: pb.ModelVersionStatus, service: Service) -> None:
    status.state = _STATES[standing.state]
    if status.state == pb.ModelVersionStatus.END:
        status.status.error_code, status.status.error_message = UNAVAILABLE, standing.reason
    elif service.draining:
        status.state = pb.ModelVersionStatus.UNLOADING


def _names(wanted: pb.ModelSpec) -> tuple[str, str]:
    try:
        return predict.names(wanted)
    except OipError as error:
        raise BadInput(str(error), place=error.place) from error


METHODS: dict[str, Method] = {
    f"{PREDICTION_SERVICE}Predict": Method(_predict, counts=1),
    f"{PREDICTION_SERVICE}GetModelMetadata": unary(pb.GetModelMetadataRequest, _metadata),
    f"{MODEL_SERVICE}GetModelStatus": unary(pb.GetModelStatusRequest, _status),
}
