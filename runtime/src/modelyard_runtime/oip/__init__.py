"""Open Inference Protocol, version 2: its messages and how tensors travel in them.

`open_inference_pb2` is generated from `open_inference.proto` (see README) and needs protobuf alone: the
engine's client imports it. The codecs need numpy. Nothing here knows HTTP, gRPC or a scoring script.
This room may import nothing of `modelyard_runtime`.
"""
