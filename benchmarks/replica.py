"""Requests a second of one replica on one core, REST and gRPC, against a bare grpc.aio server.

Server on core 0, h2load on core 1, 16 connections with one stream each, rounds in turn. The model is
the identity over one row of four numbers, so that the server is measured and not the model. grpc.aio
answers the same ModelInfer message with the least code that can; it checks, queues and times nothing.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modelyard_runtime.oip import open_inference_pb2 as oip
from stand import Stand, keep, spread, stand

ROUNDS = 5
REQUESTS = 12_000
INFER = "/inference.GRPCInferenceService/ModelInfer"

BARE = """
import asyncio, sys
import grpc
from modelyard_runtime.oip import open_inference_pb2 as oip

async def infer(request, context):
    answer = oip.ModelInferResponse(model_name=request.model_name, raw_output_contents=request.raw_input_contents)
    tensor = answer.outputs.add()
    tensor.name, tensor.datatype = "output", request.inputs[0].datatype
    tensor.shape.extend(request.inputs[0].shape)
    return answer

async def main():
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        infer, oip.ModelInferRequest.FromString, oip.ModelInferResponse.SerializeToString)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler})])
    server.add_insecure_port("unix:" + sys.argv[1])
    await server.start()
    await server.wait_for_termination()

asyncio.run(main())
"""


def main() -> None:
    with stand() as bench, tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        bench.cli(
            "deploy",
            bench.service("echo", more="replicas: 1\nrequest: {max_concurrent: 4, queue_wait: 10s}\n"),
        )
        pin_replica(bench)
        rates = measure(bench, folder)
    grpc_ratio = [ours / bare for ours, bare in zip(rates["grpc"], rates["grpc.aio"], strict=True)]
    for way, values in rates.items():
        print(f"{way:<10} {spread(values)} requests/s on one core")
    print(f"gRPC, ours / bare grpc.aio: {spread(grpc_ratio)}")
    keep("replica", rates)


def measure(bench: Stand, folder: Path) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {"REST": [], "grpc": [], "grpc.aio": []}
    (folder / "row.json").write_bytes(b'{"data": [[5.1, 3.5, 1.4, 0.2]]}')
    (folder / "row.grpc").write_bytes(grpc_message())
    address = str(folder / "bare.sock")
    bare = subprocess.Popen(["taskset", "-c", "0", sys.executable, "-c", BARE, address])
    try:
        while not Path(address).exists():
            time.sleep(0.05)
        for _ in range(ROUNDS):
            rates["REST"].append(h2load(bench.socket_of("echo"), "/score", folder / "row.json", "--h1"))
            rates["grpc"].append(h2load(bench.socket_of("echo"), INFER, folder / "row.grpc", *GRPC))
            rates["grpc.aio"].append(h2load(address, INFER, folder / "row.grpc", *GRPC))
    finally:
        bare.terminate()
        bare.wait()
    return rates


GRPC = ("-H", "content-type: application/grpc", "-H", "te: trailers")


def grpc_message() -> bytes:
    request = oip.ModelInferRequest(
        model_name="echo", raw_input_contents=[struct.pack("<4f", 5.1, 3.5, 1.4, 0.2)]
    )
    tensor = request.inputs.add()
    tensor.name, tensor.datatype = "data", "FP32"
    tensor.shape.extend([1, 4])
    body = request.SerializeToString()
    return b"\0" + struct.pack(">I", len(body)) + body


def h2load(address: str, path: str, data: Path, *more: str) -> float:
    done = subprocess.run(
        [
            *("taskset", "-c", "1", "h2load", "-n", str(REQUESTS), "-c", "16", "-m", "1", "-d", str(data)),
            *(*more, f"--base-uri=unix:{address}", f"http://bench{path}"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    if f"{REQUESTS} succeeded" not in done.stdout:
        raise SystemExit(done.stdout)
    rate = re.search(r"([\d.]+) req/s", done.stdout)
    return float(rate.group(1)) if rate else 0.0


def pin_replica(bench: Stand) -> None:
    """Put the replica's parent, its server and all their threads on core 0."""
    (replica,) = bench.client.service("echo").replicas
    tree = [replica.pid, *children(replica.pid)]
    for pid in tree:
        subprocess.run(["taskset", "-acp", "0", str(pid)], check=True, capture_output=True)


def children(pid: int | None) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found


if __name__ == "__main__":
    main()
