"""ModelInfer: the shortest way from a message to a worker and back."""

from __future__ import annotations

from modelyard_runtime.oip import messages
from modelyard_runtime.oip.datatypes import OipError
from modelyard_runtime.server.grpc.calls import Call
from modelyard_runtime.server.grpc.later import MODEL_INFER, OPEN_INFERENCE
from modelyard_runtime.server.grpc.methods import Method
from modelyard_runtime.server.inference import not_tensors, request_for
from modelyard_runtime.server.problems import BadInput
from modelyard_runtime.worker.replies import Inferred

SERVICE = OPEN_INFERENCE


async def _model_infer(call: Call) -> None:
    body, start = await call.message()
    try:
        asked = messages.decode(body, start)
    except OipError as error:
        raise BadInput(str(error), place=error.place) from error
    service = call.service
    key = (asked.model, asked.version)
    pool = service.pools.get(key) or await service.find(*key, call.deadline)
    request = request_for(pool, asked.inputs, asked.outputs, call.scope)
    reply = await pool.submit(request, call.limit, call.gone, caller_deadline=call.client_deadline)
    if type(reply) is not Inferred:
        raise not_tensors(reply)
    model = asked.model or service.main
    version = asked.version or service.models[model][-1]
    await call.answer(messages.encode(model, version, asked.id, reply.outputs), last=True)


METHODS = {MODEL_INFER: Method(_model_infer, counts=1)}
