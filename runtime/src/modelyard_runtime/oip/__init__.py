"""Open Inference Protocol, version 2: its messages and how tensors travel in them.

What lives here: pure codecs, bytes in and values out, and back; `open_inference_pb2`, generated from
`open_inference.proto`, which needs protobuf alone: the engine's client imports it. Nothing here knows
HTTP, gRPC or a scoring script. This room may import the values of `worker.requests` alone.
"""
