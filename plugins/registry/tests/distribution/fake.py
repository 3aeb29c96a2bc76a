"""A registry of the distribution API in this process, which fails as a test tells it to."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

Act = Callable[["Handler"], bool]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@attrs.frozen
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    port: int = 0
    """The client's, one a connection."""


@attrs.define
class Fault:
    """What happens to the next `times` requests of a kind. `act` may leave the answer to the registry."""

    method: str
    part: str
    act: Act
    times: int = 1


@attrs.define
class FakeRegistry:
    """What it keeps, what it was asked, and what will go wrong."""

    url: str = ""
    blobs: dict[str, bytes] = attrs.field(factory=dict)
    manifests: dict[str, bytes] = attrs.field(factory=dict)
    uploads: dict[str, bytearray] = attrs.field(factory=dict)
    asked: list[Asked] = attrs.field(factory=list)
    faults: list[Fault] = attrs.field(factory=list)
    headers: dict[str, str] = attrs.field(factory=dict)
    """Sent with every answer to the beginning of an upload."""
    lists_referrers: bool = False
    """Whether it knows version 1.1 of the specification."""
    page: int = 100
    filters: bool = True
    numbers: Iterator[int] = attrs.field(factory=itertools.count)
    ended: threading.Event = attrs.field(factory=threading.Event)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def fail(self, method: str, part: str, act: Act, times: int = 1) -> None:
        self.faults.append(Fault(method, part, act, times))

    def keep(self, content: bytes) -> str:
        digest = digest_of(content)
        self.blobs[digest] = content
        return digest

    def requests(self, method: str, part: str = "") -> list[Asked]:
        return [one for one in self.asked if one.method == method and part in one.path]


class Handler(BaseHTTPRequestHandler):
    """One request; HTTP/1.1 with connections kept, as registries do."""

    protocol_version = "HTTP/1.1"
    registry: FakeRegistry
    timeout = 10

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class named it
        pass

    def answer(self, status: int, content: bytes = b"", **headers: str) -> bool:
        self.send_response(status)
        named = {"content_length": str(len(content)), **headers}
        for name, value in named.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        return True

    def body(self, most: int | None = None) -> bytes:
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length if most is None else min(most, length))

    def cut(self) -> bool:
        self.wfile.flush()
        self.connection.close()
        self.close_connection = True
        return True

    def do(self) -> None:
        registry = self.registry
        headers, port = dict(self.headers.items()), self.client_address[1]
        registry.asked.append(Asked(self.command, self.path, headers, port=port))
        for fault in registry.faults:
            if fault.times and fault.method == self.command and fault.part in self.path:
                fault.times -= 1
                if fault.act(self):
                    return
                break
        self.serve()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do  # noqa: N815  the base class looks for them

    def serve(self) -> None:
        parts = urlsplit(self.path)
        name = parts.path.rpartition("/")[2]
        if "/blobs/uploads/" in parts.path:
            self.serve_upload(name, parse_qs(parts.query))
        elif "/blobs/" in parts.path:
            self.serve_content(self.registry.blobs.get(name), "application/octet-stream")
        elif "/manifests/" in parts.path and self.command in ("GET", "HEAD"):
            self.serve_content(self.registry.manifests.get(name), MANIFEST)
        elif "/manifests/" in parts.path and self.command == "PUT":
            content = self.body()
            self.registry.manifests[name] = self.registry.manifests[digest_of(content)] = content
            self.answer(201, docker_content_digest=digest_of(content), **self.subject(content))
        elif "/manifests/" in parts.path and self.command == "DELETE":
            self.answer(202 if self.registry.manifests.pop(name, None) else 404)
        elif "/referrers/" in parts.path and self.registry.lists_referrers:
            self.serve_referrers(name, parse_qs(parts.query))
        else:
            self.answer(404)

    def subject(self, content: bytes) -> dict[str, str]:
        about = json.loads(content).get("subject") if self.registry.lists_referrers else None
        return {"oci_subject": about["digest"]} if about else {}

    def serve_referrers(self, subject: str, query: dict[str, list[str]]) -> None:
        kind, start = query.get("artifactType", [""])[0], int(query.get("start", ["0"])[0])
        found = [
            referrer(content)
            for name, content in sorted(self.registry.manifests.items())
            if name.startswith("sha256:") and json.loads(content).get("subject", {}).get("digest") == subject
        ]
        told = {}
        if kind and self.registry.filters:
            found = [one for one in found if one["artifactType"] == kind]
            told["oci_filters_applied"] = "artifactType"
        end = start + self.registry.page
        if found[end:]:
            told["link"] = f'<{urlsplit(self.path).path}?artifactType={kind}&start={end}>; rel="next"'
        self.answer(200, index_of(found[start:end]), content_type=INDEX, **told)

    def serve_content(self, content: bytes | None, kind: str) -> None:
        if content is None:
            self.answer(404)
            return
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        headers = {"content_type": kind, "docker_content_digest": digest_of(content)}
        if start:
            headers["content_range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers["content_length"] = str(len(content) - start)
        self.answer(206 if start else 200, content[start:], **headers)

    def serve_upload(self, name: str, query: dict[str, list[str]]) -> None:
        uploads = self.registry.uploads
        if self.command == "POST":
            self.body()
            name = f"u{next(self.registry.numbers)}"
            uploads[name] = bytearray()
        if name not in uploads:
            self.body()
            self.answer(404, errors("BLOB_UPLOAD_UNKNOWN", "blob upload unknown"))
            return
        kept = uploads[name]
        if self.command == "PATCH" and not self.headers["Content-Range"].startswith(f"{len(kept)}-"):
            self.body()
            self.answer(416)
            return
        if self.command in ("PATCH", "PUT"):
            kept += self.body()
        if self.command == "PUT":
            self.close_upload(name, bytes(uploads.pop(name)), query["digest"][0])
            return
        repository = self.path.split("/v2/")[1].split("/blobs/")[0]
        location = f"/v2/{repository}/blobs/uploads/{name}?state=x"
        ranged = {} if self.command == "POST" else {"range": f"0-{max(len(kept) - 1, 0)}"}
        status = 204 if self.command == "GET" else 202
        self.answer(status, location=location, **ranged, **self.registry.headers)

    def close_upload(self, _name: str, content: bytes, digest: str) -> None:
        if digest_of(content) != digest:
            self.answer(400, errors("DIGEST_INVALID", "provided digest did not match uploaded content"))
            return
        self.registry.blobs[digest] = content
        self.answer(201, docker_content_digest=digest)


def referrer(manifest: bytes) -> dict[str, Any]:
    """Describe a manifest as lists of referrers do."""
    document = json.loads(manifest)
    return {
        "mediaType": MANIFEST,
        "digest": digest_of(manifest),
        "size": len(manifest),
        "artifactType": document.get("artifactType") or document["config"]["mediaType"],
        "annotations": document.get("annotations", {}),
    }


def index_of(entries: list[dict[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def status(code: int, content: bytes = b"", **headers: str) -> Act:
    """Answer with a status, the request's body read."""

    def act(handler: Handler) -> bool:
        handler.body()
        return handler.answer(code, content, **headers)

    return act


def cut_upload_after(count: int) -> Act:
    """Keep so many bytes of a piece, then close the connection."""

    def act(handler: Handler) -> bool:
        name = urlsplit(handler.path).path.rpartition("/")[2]
        handler.registry.uploads[name] += handler.body(count)
        return handler.cut()

    return act


def cut_download_after(count: int) -> Act:
    """Promise the whole blob, send so many bytes of it, then close the connection."""

    def act(handler: Handler) -> bool:
        content = handler.registry.blobs[handler.path.rpartition("/")[2]]
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        handler.wfile.write(content[start : start + count])
        return handler.cut()

    return act


def silent(handler: Handler) -> bool:
    """Say nothing until the test is over."""
    handler.registry.ended.wait(10)
    return handler.cut()


def dropped(handler: Handler) -> bool:
    """Close the connection without a word."""
    return handler.cut()


def errors(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def served() -> Iterator[FakeRegistry]:
    """Run one on loopback."""
    registry = FakeRegistry()
    handler = type("Bound", (Handler,), {"registry": registry})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    registry.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield registry
    finally:
        registry.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
