"""What the router adds: the same replica asked through it and directly, at 1,000 requests a second.

Open loop: request n is due at n milliseconds whatever became of the others, over 16 keep-alive
connections, and its latency counts from when it was due. Direct and routed rounds alternate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine

from stand import Stand, keep, percentile, spread, stand

RATE = 1_000
SECONDS = 8
ROUNDS = 5
CONNECTIONS = 16

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Coroutine[None, None, Connection]]


def main() -> None:
    with stand() as bench:
        bench.cli("deploy", bench.service("echo", more="replicas: 1\nrequest: {max_concurrent: 4}\n"))
        added_p50, added_p99, raw = [], [], []
        for _ in range(ROUNDS):
            direct = asyncio.run(load(direct_to(bench), request(bench, path="/score")))
            routed = asyncio.run(
                load(through_router(bench), request(bench, path="/api/v1/service/echo/score"))
            )
            added_p50.append(1e3 * (percentile(routed, 0.5) - percentile(direct, 0.5)))
            added_p99.append(1e3 * (percentile(routed, 0.99) - percentile(direct, 0.99)))
            raw.append({"direct": tails(direct), "routed": tails(routed)})
    print(f"router adds, p50: {spread(added_p50)} ms")
    print(f"router adds, p99: {spread(added_p99)} ms")
    keep("router", raw)


def tails(latencies: list[float]) -> list[float]:
    return [percentile(latencies, share) for share in (0.5, 0.99)]


def direct_to(bench: Stand) -> Connect:
    address = bench.socket_of("echo")
    return lambda: asyncio.open_unix_connection(address)


def through_router(bench: Stand) -> Connect:
    return lambda: asyncio.open_connection("127.0.0.1", bench.port)


def request(bench: Stand, *, path: str) -> bytes:
    body = b'{"data": [[5.1, 3.5, 1.4, 0.2]]}'
    key = bench.client.keys("echo").primary.reveal()
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def load(connect: Connect, message: bytes) -> list[float]:
    """Latencies in seconds; the first second is warm-up and not counted."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await connect())
    latencies: list[float] = []
    start = time.perf_counter() + 0.05
    async with asyncio.TaskGroup() as tasks:
        for number in range(RATE * SECONDS):
            due = start + number / RATE
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.create_task(one(free, message, due, latencies if number >= RATE else []))
    while not free.empty():
        free.get_nowait()[1].close()
    return latencies


async def one(free: asyncio.Queue[Connection], message: bytes, due: float, into: list[float]) -> None:
    reader, writer = await free.get()
    writer.write(message)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(head.decode())
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    into.append(time.perf_counter() - due)
    free.put_nowait((reader, writer))


if __name__ == "__main__":
    main()
