"""gRPC on ASGI, without grpcio: frames, statuses and their details, deadlines, compression, streams.

What lives here: the calls this server answers (Open Inference Protocol, TensorFlow Serving, health,
reflection) and the table that finds them by path. Never codecs of tensors, which are `oip` and `tfserving`.
This room may import `oip`, `tfserving`, `scoring`, `worker`'s values and its neighbours in `server`.
"""

from modelyard_runtime.server.grpc.calls import CONTENT_TYPE
from modelyard_runtime.server.grpc.inference import MODEL_INFER
from modelyard_runtime.server.grpc.table import serve

__all__ = ["CONTENT_TYPE", "MODEL_INFER", "serve"]
