"""A Docker daemon that answers what a test says, over a unix socket: for faults that a real one seldom has."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answer = Callable[["Handler"], None]
"""Answers one request."""
_VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    routes: Mapping[str, Answer]

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def do_DELETE(self) -> None:
        self._do()

    def address_string(self) -> str:
        return "test"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  its name there
        pass

    def json(self, document: Any, status: int = 200) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, pieces: Iterator[bytes], *, cut: bool = False) -> None:
        """Answer in chunks; `cut` = without an end."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        if cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def body(self) -> bytes:
        """Read what was sent, in chunks or not."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _do(self) -> None:
        path = re.sub(r"^/v[0-9.]+", "", self.path.partition("?")[0])
        if path in ("/version", "/_ping"):
            self.json(_VERSION)
            return
        for pattern, answer in self.routes.items():
            if re.fullmatch(pattern, f"{self.command} {path}"):
                answer(self)
                return
        self.body()
        self.json({"message": f"No such image: {path}"}, 404)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests want."""


@contextmanager
def fake_docker(folder: Path, routes: Mapping[str, Answer]) -> Iterator[dict[str, str]]:
    """Start one in a short folder; give the environment that leads to it. Keys are `METHOD /path` patterns."""
    path = folder / "docker.sock"
    handler = type("Routed", (Handler,), {"routes": routes})
    with _Server(str(path), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield {"DOCKER_HOST": f"unix://{path}", "HOME": str(folder)}
        finally:
            server.shutdown()
            thread.join()
