"""From the first busy moment to the decision to add a replica, and to that replica being ready.

One replica, max_concurrent 1; at a known moment four clients begin to ask without pause.
"""

from __future__ import annotations

import threading
import time

import httpx
from stand import Stand, keep, spread, stand

ROUNDS = 5
SLOW = "import time\n\ndef init():\n    pass\n\ndef run(data):\n    time.sleep(0.2)\n    return 1\n"


def main() -> None:
    decided, ready = [], []
    with stand() as bench:
        for number in range(ROUNDS):
            name = f"busy{number}"
            more = "scaling: {min: 1, max: 2}\nrequest: {queue_wait: 10s}\n"
            bench.cli("deploy", bench.service(name, score=SLOW, more=more))
            reaction = one_round(bench, name)
            decided.append(reaction[0])
            ready.append(reaction[1])
            bench.cli("delete", name)
    print(f"first busy moment -> decision:      {spread(decided)} s")
    print(f"first busy moment -> replica ready: {spread(ready)} s")
    keep("scaling", {"decided": decided, "ready": ready})


def one_round(bench: Stand, name: str) -> tuple[float, float]:
    stop = threading.Event()
    key = bench.client.keys(name).primary.reveal()
    url = f"http://127.0.0.1:{bench.port}/api/v1/service/{name}/score"
    clients = [threading.Thread(target=ask, args=(url, key, stop)) for _ in range(4)]
    began = time.time()
    for client in clients:
        client.start()
    try:
        while sum(r.phase.value == "ready" for r in bench.client.service(name).replicas) < 2:
            time.sleep(0.02)
        ready = time.time() - began
    finally:
        stop.set()
        for client in clients:
            client.join()
    first = min(record.at for record in bench.client.scaling(name) if record.wanted > record.replicas)
    return first - began, ready


def ask(url: str, key: str, stop: threading.Event) -> None:
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        while not stop.is_set():
            client.post(url, content=b"{}")


if __name__ == "__main__":
    main()
