"""A package index that wants to know who asks, and a proxy on the way to it; both on loopback."""

from __future__ import annotations

import base64
import hashlib
import http.server
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import attrs


@attrs.define
class Index:
    """A folder of wheels as an index under `/<below>simple/`; `user` is `name:password`, empty = for everybody.

    `asked` keeps the paths that were asked for, and `shown` who asked.
    """

    folder: Path
    user: str = ""
    below: str = ""
    url: str = ""
    asked: list[str] = attrs.field(factory=list)
    shown: set[str] = attrs.field(factory=set)

    def with_user(self, user: str) -> str:
        return self.url.replace("://", f"://{user}@")


@attrs.define
class Proxy:
    """Passes on what it is asked for, to a user alone where one is named, and keeps for which host."""

    user: str = ""
    url: str = ""
    hosts: list[str] = attrs.field(factory=list)


@contextmanager
def indexing(folder: Path, *, user: str = "", below: str = "", tls: Path | None = None) -> Iterator[Index]:
    """Serve wheels; `tls` is a file with a key and a certificate for `localhost`."""
    index = Index(folder, user, below)
    server = _Server(_IndexHandler, index)
    index.url = f"http://localhost:{server.server_port}/{below}simple/"
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        index.url = index.url.replace("http:", "https:")
    with _running(server):
        yield index


@contextmanager
def proxying(*, user: str = "") -> Iterator[Proxy]:
    proxy = Proxy(user)
    server = _Server(_ProxyHandler, proxy)
    signed = f"{user}@" if user else ""
    proxy.url = f"http://{signed}127.0.0.1:{server.server_port}"
    with _running(server):
        yield proxy


@contextmanager
def _running(server: _Server) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler], state: Index | Proxy) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.state = state


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        return

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers = {"Content-Length": str(len(content)), **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def is_from(self, user: str, header: str) -> bool:
        wanted = f"Basic {base64.b64encode(user.encode()).decode()}"
        return not user or self.headers[header] == wanted


class _IndexHandler(_Handler):
    def do_GET(self) -> None:
        index = self.server.state
        assert isinstance(index, Index)
        path = urlsplit(self.path).path
        index.asked.append(path)
        if not self.is_from(index.user, "Authorization"):
            self.answer(401, WWW_Authenticate='Basic realm="wheels"')
            return
        index.shown.add(self.headers["Authorization"] or "")
        name = path.strip("/").rpartition("/")[2]
        wheels = [one for one in sorted(index.folder.glob("*.whl")) if one.name.split("-")[0] == name]
        if path == f"/files/{name}" and (index.folder / name).is_file():
            self.answer(200, (index.folder / name).read_bytes())
        elif path == f"/{index.below}simple/{name}/" and wheels:
            self.answer(200, "".join(map(_link, wheels)).encode(), Content_Type="text/html")
        else:
            self.answer(404)

    def do_HEAD(self) -> None:
        self.do_GET()


def _link(wheel: Path) -> str:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f'<a href="/files/{wheel.name}#sha256={digest}">{wheel.name}</a>\n'


class _ProxyHandler(_Handler):
    def do_CONNECT(self) -> None:
        proxy = self.server.state
        assert isinstance(proxy, Proxy)
        if not self.is_from(proxy.user, "Proxy-Authorization"):
            self.answer(407, Proxy_Authenticate='Basic realm="proxy"')
            return
        proxy.hosts.append(self.path)
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as far:
            self.send_response(200)
            self.end_headers()
            _pass_on(self.connection, far)
        self.close_connection = True


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    both = {near: far, far: near}
    while True:
        for one in select.select(list(both), [], [], 10)[0] or (near,):
            try:
                content = one.recv(65_536)
            except OSError:
                return
            if not content:
                return
            both[one].sendall(content)
