"""A replica's parent that keeps the contract without a server: it reports, answers status, drains, stops.

The first line of `variables["BEHAVE"]` bends it: `die` ends at once, `deaf` ignores SIGTERM,
`busy` says that one request runs, `mute` accepts connections and never answers.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from modelyard_runtime.contract import (
    SOCKET_FILE,
    STATE_FILE,
    ReplicaState,
    read_contract,
    start_ticks,
    write_state,
)

contract = read_contract(Path(sys.argv[1]))
behave = contract.variables.get("BEHAVE", "")
if behave == "die":
    sys.exit("the stand-in gave up")
run_dir = Path(contract.run_dir)
state = ReplicaState(
    service=contract.service,
    revision=contract.revision,
    replica=contract.replica,
    phase="ready",
    parent_pid=os.getpid(),
    parent_start_ticks=start_ticks(os.getpid()),
    started_at=time.time(),
    resident_bytes=123,
)
wake = threading.Event()
asked: list[str] = []


def on_signal(number: int, frame: object) -> None:
    del frame
    asked.append("draining" if number == signal.SIGUSR1 else "stopped")
    wake.set()


signal.signal(signal.SIGUSR1, on_signal)
signal.signal(signal.SIGTERM, signal.SIG_IGN if behave == "deaf" else on_signal)


def answer(listener: socket.socket) -> None:
    held = []
    while True:
        connection, _ = listener.accept()
        if behave == "mute":
            held.append(connection)
            continue
        connection.recv(4096)
        body = json.dumps({"ready": True, "draining": False, "running": int(behave == "busy"), "queued": 0})
        head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        connection.sendall(f"{head}{len(body):x}\r\n{body}\r\n0\r\n\r\n".encode())
        connection.close()


listener = socket.socket(socket.AF_UNIX)
(run_dir / SOCKET_FILE).unlink(missing_ok=True)
listener.bind(str(run_dir / SOCKET_FILE))
listener.listen()
threading.Thread(target=answer, args=(listener,), daemon=True).start()
(Path(contract.log_dir) / "replica.log").write_text("".join(f"line {i}\n" for i in range(10)))
write_state(state, run_dir / STATE_FILE)
while "stopped" not in asked:
    wake.wait(60)
    wake.clear()
    if asked:
        state = dataclasses.replace(state, phase=asked[-1])
        write_state(state, run_dir / STATE_FILE)
