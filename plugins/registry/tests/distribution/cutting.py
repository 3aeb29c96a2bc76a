"""A bad line: it passes bytes on to a registry, and cuts one connection in the middle of an upload."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import attrs


@attrs.define
class Line:
    """Where it listens, what it passed on, and how often it cut."""

    host: str
    target: tuple[str, int]
    after_bytes: int
    sent: int = 0
    cuts: int = 0
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def carry(self, near: socket.socket) -> None:
        with near, socket.create_connection(self.target, timeout=10) as far:
            back = threading.Thread(target=self.answer, args=(far, near))
            back.start()
            with suppress(OSError):
                self.ask(near, far)
            for end in (near, far):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join()

    def ask(self, near: socket.socket, far: socket.socket) -> None:
        while piece := near.recv(16_384):
            far.sendall(piece)
            with self.lock:
                self.sent += len(piece)
                if not self.cuts and self.sent > self.after_bytes:
                    self.cuts += 1
                    return

    def answer(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while piece := far.recv(16_384):
                near.sendall(piece)


@contextmanager
def cutting(host: str, *, after_bytes: int) -> Iterator[Line]:
    """Lay the line; it is cut once, after so many bytes."""
    name, _, port = host.partition(":")
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = Line(f"127.0.0.1:{server.getsockname()[1]}", (name, int(port)), after_bytes)
        carriers = list[threading.Thread]()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    near, _ = server.accept()
                    carriers.append(threading.Thread(target=line.carry, args=(near,)))
                    carriers[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield line
        finally:
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for carrier in carriers:
                carrier.join(10)
