"""ModelInfer: the shortest way from a message to a worker and back."""

from __future__ import annotations

from modelyard_runtime.oip import messages
from modelyard_runtime.oip.datatypes import OipError
from modelyard_runtime.scoring import InferStream, ScoreStream
from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.methods import Method
from modelyard_runtime.server.problems import BadInput, ResultUnusable, Unimplemented
from modelyard_runtime.worker.replies import Inferred
from modelyard_runtime.worker.requests import InferRequest

SERVICE = "/inference.GRPCInferenceService/"
MODEL_INFER = f"{SERVICE}ModelInfer"


async def _model_infer(call: Call) -> None:
    body, start = await call.message()
    try:
        asked = messages.decode(body, start)
    except OipError as error:
        raise BadInput(str(error), place=error.place) from error
    service = call.service
    pool = service.pools.get((asked.model, asked.version)) or await service.find(asked.model, asked.version)
    about = pool.description
    headers = call.scope["headers"] if about is None or about.needs_headers else ()
    request = InferRequest(asked.inputs, asked.outputs, headers)
    reply = await pool.submit(request, call.deadline, call.gone)
    if type(reply) is not Inferred:
        raise not_tensors(reply)
    model = asked.model or service.contract.service
    version = asked.version or service.models[model][-1]
    await call.answer(messages.encode(model, version, asked.id, reply.outputs), last=True)


def not_tensors(reply: object) -> Exception:
    """Say why an answer that is no tensors cannot be sent; a stream's worker is told to stop."""
    if isinstance(reply, InferStream):
        reply.parts.close()
        return Unimplemented("this model answers several times: call ModelStreamInfer over gRPC")
    if isinstance(reply, ScoreStream):
        reply.chunks.close()
    return ResultUnusable("the script answered with a response of its own, not with tensors: ask /score")


METHODS = {MODEL_INFER: Method(_model_infer, counts=1)}
