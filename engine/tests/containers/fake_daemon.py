"""A daemon that answers what it was told, for daemons that cannot be had: old ones, slow ones, broken ones."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answer = Callable[[str, str], tuple[int, Any]]
"""Method and path without the version -> status and JSON (bytes go out as they are)."""
VERSION = {"Version": "20.10.24", "ApiVersion": "1.41"}
INFO = {
    "NCPU": 4,
    "MemTotal": 8 << 30,
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "DockerRootDir": "/nowhere/docker",
    "LiveRestoreEnabled": False,
    "SecurityOptions": ["name=seccomp,profile=default"],
    "MemoryLimit": True,
    "CpuCfsQuota": True,
}


def answers(version: dict[str, Any] | None = None, info: dict[str, Any] | None = None) -> Answer:
    told = {"/version": {**VERSION, **(version or {})}, "/info": {**INFO, **(info or {})}}

    def answer(method: str, path: str) -> tuple[int, Any]:
        del method
        return (200, told[path]) if path in told else (404, {"message": "no such thing"})

    return answer


@contextmanager
def fake_daemon(folder: Path, answer: Answer) -> Iterator[str]:
    """Give its address; what it is asked goes to `answer`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            path = self.path.partition("?")[0]
            path = "/" + path.split("/", 2)[2] if path.startswith("/v1.") else path
            self._read_body()
            status, said = answer(self.command, path)
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _read_body(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("transfer-encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    self.rfile.read(size + len("\r\n"))
                self.rfile.readline()

        do_GET = do_POST = do_DELETE = _reply  # noqa: N815  the parent's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the parent's name
            pass

        def address_string(self) -> str:
            return "unix"

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    path = folder / "docker.sock"
    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"unix://{path}"
        server.shutdown()
        thread.join(5)
