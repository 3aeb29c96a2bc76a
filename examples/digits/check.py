"""Score the held-out digits through the router, over HTTP and over gRPC, and compare with offline.

Ends with exit code 1 unless both say exactly what the model says offline.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from modelyard import Client

HERE = Path(__file__).resolve().parent
SERVICE = "digits"


def main() -> int:
    held_out = json.loads((HERE / "held_out.json").read_text(encoding="utf-8"))
    client = Client()
    ways: dict[str, Callable[[list[float]], int]] = {
        "HTTP": lambda row: over_http(client, row),
        "gRPC": lambda row: over_grpc(client, row),
    }
    print(f"offline      accuracy {accuracy(held_out['offline'], held_out['labels']):.4f}")
    good = True
    for way, score in ways.items():
        said, seconds = zip(*(timed(score, row) for row in held_out["data"]), strict=True)
        good = good and list(said) == held_out["offline"]
        print(f"{way:<12} accuracy {accuracy(said, held_out['labels']):.4f}   {latency(seconds)}")
    print("the same answers as offline" if good else "NOT the same answers as offline")
    return 0 if good else 1


def over_http(client: Client, row: list[float]) -> int:
    answer = client.score(SERVICE, json.dumps({"data": [row]}).encode())
    if answer.status != 200:
        raise SystemExit(f"HTTP {answer.status}: {answer.body.decode(errors='replace')}")
    return int(json.loads(answer.body)[0])


def over_grpc(client: Client, row: list[float]) -> int:
    outputs = client.infer(SERVICE, {"data": [row]}).outputs
    return int(next(iter(outputs.values())).tolist()[0])


def timed(score: Callable[[list[float]], int], row: list[float]) -> tuple[int, float]:
    started = time.perf_counter()
    return score(row), time.perf_counter() - started


def accuracy(said: Iterable[int], labels: list[int]) -> float:
    return sum(one == other for one, other in zip(said, labels, strict=True)) / len(labels)


def latency(seconds: tuple[float, ...]) -> str:
    ordered = sorted(seconds)
    p50, p99 = (1000 * ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
    return f"latency p50 {p50:.2f} ms, p99 {p99:.2f} ms, {len(ordered)} requests one after the other"


if __name__ == "__main__":
    sys.exit(main())
