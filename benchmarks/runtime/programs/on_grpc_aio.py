"""grpc.aio on uvloop with the model on a thread: the least gRPC server that Python's own library allows."""

from __future__ import annotations

import asyncio
import functools
import sys

import grpc
import messages
import models
import uvloop
from hop import Hop


async def main(variant: str, port: str) -> None:
    hop = Hop(functools.partial(messages.infer, models.load(variant)))

    async def infer(body: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        return await hop.submit(body)

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    method = grpc.unary_unary_rpc_method_handler(infer)
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": method})
    server.add_generic_rpc_handlers([service])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:3]))
