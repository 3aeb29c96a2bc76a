"""A channel over HTTP that wants to know who asks, and keeps what it was asked."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs

_BELOW = "/private/channel"


@attrs.define
class Served:
    """How the server behaves, and what it was asked: paths, with the header `Authorization` of each.

    `status` is answered to everybody, `fails` requests for archives end halfway, `stalls` stop halfway,
    `redirect` is another server that archives are fetched from.
    """

    folder: Path
    url: str = ""
    user: str = ""
    token: str = ""
    bearer: str = ""
    status: int = 0
    fails: int = 0
    stalls: int = 0
    redirect: str = ""
    asked: list[tuple[str, str | None]] = attrs.field(factory=list)

    @property
    def header(self) -> str | None:
        if self.bearer:
            return f"Bearer {self.bearer}"
        return f"Basic {base64.b64encode(self.user.encode()).decode()}" if self.user else None

    def with_user(self, user: str) -> str:
        """The address with a user in it."""
        return self.url.replace("://", f"://{user}@")

    def with_token(self, token: str) -> str:
        """The address with a token in it."""
        return self.url.replace(_BELOW, f"/t/{token}{_BELOW}")

    def archives(self) -> list[str]:
        """The archives that were asked for."""
        return [path.rpartition("/")[2] for path, _ in self.asked if path.endswith((".conda", ".tar.bz2"))]


@contextmanager
def serving(folder: Path, *, tls: Path | None = None, **behaviour: Any) -> Iterator[Served]:
    """Serve a folder on loopback; `tls` is a file with the server's key and certificate for `localhost`."""
    server = _Server(Served(folder, **behaviour))
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.served.url = server.served.url.replace("http://127.0.0.1", "https://localhost")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.served
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, served: Served) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.served = served
        self.closing = threading.Event()
        served.url = f"http://127.0.0.1:{self.server_port}{_BELOW}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        served = self.server.served
        served.asked.append((self.path, self.headers["Authorization"]))
        if "://" in self.path:  # it is asked as a proxy, and answers for whomever
            self.path = urlsplit(self.path).path
        path, status = self._checked(served)
        file = served.folder / unquote(path.removeprefix(f"{_BELOW}/"))
        archive = path.endswith((".conda", ".tar.bz2"))
        if status != 200 or not file.is_file():
            self._answer(404 if status == 200 else status)
        elif archive and served.redirect:
            self._answer(302, Location=served.redirect + path)
        elif archive and (served.fails or served.stalls):
            content = file.read_bytes()
            self._answer(200, content[: len(content) // 2], size=len(content))
            self.close_connection = True
            if served.stalls:
                served.stalls -= 1
                self.server.closing.wait()
            else:
                served.fails -= 1
        else:
            self._answer(200, file.read_bytes())

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        return

    def _checked(self, served: Served) -> tuple[str, int]:
        """Take the token out of the path; 200 for whom the channel is open."""
        path, token = self.path, f"/t/{served.token}" if served.token else ""
        if served.status or not path.startswith(token):
            return path, served.status or 403
        right = served.header in (None, self.headers["Authorization"])
        return path.removeprefix(token), 200 if right else 401

    def _answer(self, status: int, content: bytes = b"", size: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if size is None else size))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.wfile.write(content)
            except ConnectionError:
                self.close_connection = True
