"""TensorFlow Serving's Predict, for clients of old FPGA and TensorFlow deployments.

What lives here: its messages (`.proto`, and what was generated from them) and how tensors travel in them:
pure codecs. Nothing here needs TensorFlow or knows gRPC.
This room may import the datatypes and tensors of `oip` and the values of `worker.requests`.
"""
