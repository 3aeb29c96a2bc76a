"""gRPC on ASGI, without grpcio: frames, statuses and their details, deadlines, compression, streams.

What lives here: the calls this server answers (Open Inference Protocol, TensorFlow Serving, health,
reflection) and the table that finds them by path. Never codecs of tensors, which are `oip` and `tfserving`.
The server loads this room late: import `later`, which is quick, and nothing here imports anything by itself.
This room may import `oip`, `tfserving`, `scoring`, `worker`'s values and its neighbours in `server`.
"""
