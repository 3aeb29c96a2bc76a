"""The parent's own port: how its replica is, for as long as the parent lives.

One thread and one selector, so that the loop that keeps the replica alive never waits for who asks; few
connections, small requests, one answer each. Loaded only where a contract wants it.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

from modelyard_runtime.contract import REPLICA_PATH, ReplicaStatus, encode_status

MAX_CONNECTIONS = 32
"""Beyond these nobody is let in; the system keeps as many waiting."""
MAX_REQUEST_BYTES = 8192
TIME_LIMIT_S = 5.0
"""For a connection as a whole: a question and its answer."""
_END_OF_HEAD = b"\r\n\r\n"
_A_REQUEST = ("method", "target", "version")
_TICK_S = 0.5


def listen(host: str, port: int) -> socket.socket:
    """Take the port; "::" means IPv4 too. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind((host, port))
        listener.listen(MAX_CONNECTIONS)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


class _Caller:
    """One connection: first what has come of its question, then what is left to send of the answer."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.ends_s = time.monotonic() + TIME_LIMIT_S
        self.asked = b""
        self.left = b""

    def read(self) -> bool:
        """Take what has come; whether it is a question now, or too long to become one. Raises OSError."""
        data = self.connection.recv(MAX_REQUEST_BYTES)
        if not data:
            raise ConnectionResetError
        self.asked += data
        return _END_OF_HEAD in self.asked or len(self.asked) >= MAX_REQUEST_BYTES

    def write(self) -> bool:
        """Send on; whether all is sent. Raises OSError."""
        self.left = self.left[self.connection.send(self.left) :]
        return not self.left


class StatusPort:
    """Answers `GET /modelyard/replica` with what `status` returns; nothing else."""

    def __init__(self, listener: socket.socket, status: Callable[[], ReplicaStatus]) -> None:
        self._listener = listener
        self._status = status
        self._callers: set[_Caller] = set()
        self._selector = selectors.DefaultSelector()
        self._listens = False

    def start(self) -> None:
        """Answer from now on, on a thread that ends with the process."""
        threading.Thread(target=self._run, name="status", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._let_in()
            ready = self._selector.select(_TICK_S)
            for key, _ in ready:
                if key.data is None:
                    self._accept()
            callers: list[_Caller] = [key.data for key, _ in ready if key.data is not None]
            self._serve(callers)
            now_s = time.monotonic()
            for late in [one for one in self._callers if one.ends_s <= now_s]:
                self._end(late)

    def _let_in(self) -> None:
        """Look for newcomers only while there is room: otherwise they would wake this thread for nothing."""
        wants = len(self._callers) < MAX_CONNECTIONS
        if wants and not self._listens:
            self._selector.register(self._listener, selectors.EVENT_READ, None)
        elif self._listens and not wants:
            self._selector.unregister(self._listener)
        self._listens = wants

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it has gone again, or there are no descriptors: then wait for some
            time.sleep(0.01)
            return
        connection.setblocking(False)
        caller = _Caller(connection)
        self._callers.add(caller)
        self._selector.register(connection, selectors.EVENT_READ, caller)

    def _serve(self, callers: list[_Caller]) -> None:
        """Go on with each; the server is asked once for all whose question is whole."""
        asking: list[_Caller] = []
        for caller in callers:
            try:
                if not caller.left and caller.read():
                    asking.append(caller)
                elif caller.left and caller.write():
                    self._end(caller)
            except BlockingIOError:
                continue
            except OSError:
                self._end(caller)
        document = (
            encode_status(self._status()) if any(_refusal(one.asked) is None for one in asking) else b""
        )
        for caller in asking:
            refusal = _refusal(caller.asked)
            caller.left = _answer(HTTPStatus.OK, document) if refusal is None else _answer(refusal)
            self._selector.modify(caller.connection, selectors.EVENT_WRITE, caller)

    def _end(self, caller: _Caller) -> None:
        self._callers.discard(caller)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(caller.connection)
        caller.connection.close()


def _refusal(asked: bytes) -> HTTPStatus | None:
    """Return why this is not the one question there is; None where it is."""
    line, ended, _ = asked.partition(b"\r\n")
    words = line.split(b" ")
    if not ended or len(words) != len(_A_REQUEST) or not words[2].startswith(b"HTTP/1."):
        return HTTPStatus.BAD_REQUEST
    if _END_OF_HEAD not in asked:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    if words[1].partition(b"?")[0] != REPLICA_PATH.encode():
        return HTTPStatus.NOT_FOUND
    return None if words[0] == b"GET" else HTTPStatus.METHOD_NOT_ALLOWED


def _answer(status: HTTPStatus, document: bytes = b"") -> bytes:
    told = ["allow: GET"] if status is HTTPStatus.METHOD_NOT_ALLOWED else []
    head = [
        f"HTTP/1.1 {int(status)} {status.phrase}",
        "content-type: application/json",
        f"content-length: {len(document)}",
        "cache-control: no-store",
        "connection: close",
        *told,
    ]
    return "\r\n".join([*head, "", ""]).encode() + document
