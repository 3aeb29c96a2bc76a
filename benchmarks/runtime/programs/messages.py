"""ModelInfer by hand: bytes in, bytes out, nothing checked."""

from __future__ import annotations

import models
import numpy as np
from modelyard_runtime.oip import open_inference_pb2 as oip


def infer(predict: models.Predict, body: bytes) -> bytes:
    """Answer one ModelInferRequest with raw contents."""
    request = oip.ModelInferRequest.FromString(body)
    rows = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(tuple(request.inputs[0].shape))
    answer = predict(rows)
    reply = oip.ModelInferResponse(model_name=request.model_name, raw_output_contents=[answer.tobytes()])
    tensor = reply.outputs.add()
    tensor.name, tensor.datatype = "output", "FP32"
    tensor.shape.extend(answer.shape)
    return reply.SerializeToString()
