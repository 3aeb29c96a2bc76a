"""The distribution project's own registry, as Debian packages it, started on loopback."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from modelyard_registry.distribution import DistributionRegistry
from modelyard_registry.distribution.servers import parse_servers
from modelyard_registry.distribution.session import Limits

BINARY = "docker-registry"
T = TypeVar("T")
START_SECONDS = 20.0
USER, PASSWORD = "somebody", "open sesame"

needs_registry = pytest.mark.skipif(
    shutil.which(BINARY) is None, reason="needs docker-registry, the server other people run"
)
needs_skopeo = pytest.mark.skipif(
    shutil.which("skopeo") is None, reason="needs skopeo, the tool other people use"
)


@attrs.frozen
class RealRegistry:
    """A running one. `ca_file` is set when it speaks TLS."""

    host: str
    folder: Path
    ca_file: Path | None = None

    def log(self) -> str:
        return (self.folder / "log").read_text()


@contextmanager
def running(
    folder: Path, *, has_password: bool = False, has_tls: bool = False, deletes: bool = True
) -> Iterator[RealRegistry]:
    """Start one in an empty folder and wait until it listens."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    lines = [
        "version: 0.1",
        "log: {level: warn}",
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: {str(deletes).lower()}}}}}",
        f"http: {{addr: 127.0.0.1:{port}, secret: known{_tls(folder) if has_tls else ''}}}",
    ]
    if has_password:
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {_password_file(folder)}}}}}")
    (folder / "config.yml").write_text("\n".join(lines))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [BINARY, "serve", str(folder / "config.yml")],
            stdout=log,
            stderr=log,
            env={},  # REGISTRY_* would change the configuration
        )
    found = RealRegistry(f"127.0.0.1:{port}", folder, folder / "ca.pem" if has_tls else None)
    try:
        _await_answer(process, found)
        yield found
    finally:
        process.kill()
        process.wait()


def connect(
    real: RealRegistry, environ: Mapping[str, str] | None = None, limits: Limits | None = None, **more: str
) -> DistributionRegistry:
    lines = [
        "[registry.real]",
        f'host = "{real.host}"',
        *(f'{key} = "{value}"' for key, value in more.items()),
    ]
    if real.ca_file:
        lines.append(f'ca_file = "{real.ca_file}"')
    (server,), mistakes = parse_servers("\n".join(lines).encode())
    assert not mistakes
    return DistributionRegistry(server, environ or {"HOME": str(real.folder)}, limits or Limits())


def logged_in(real: RealRegistry, password: str = PASSWORD) -> dict[str, str]:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (real.folder / "config.json").write_text(json.dumps({"auths": {real.host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(real.folder)}


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _await_answer(process: subprocess.Popen[bytes], registry: RealRegistry) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with closing(_connection(registry)) as connection:
                connection.request("GET", "/v2/")
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"docker-registry did not start: {registry.log()}")


def _connection(registry: RealRegistry) -> http.client.HTTPConnection:
    if registry.ca_file is None:
        return http.client.HTTPConnection(registry.host, timeout=1)
    context = ssl.create_default_context(cafile=registry.ca_file)
    return http.client.HTTPSConnection(registry.host, timeout=1, context=context)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _password_file(folder: Path) -> Path:
    if shutil.which("htpasswd") is None:
        pytest.skip("needs htpasswd (apache2-utils), which writes the registry's password file")
    # the lowest cost: what is tested is that the password arrives
    command = ["htpasswd", "-Bbn", "-C", "4", USER, PASSWORD]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    (folder / "htpasswd").write_bytes(done.stdout)
    return folder / "htpasswd"


def _tls(folder: Path) -> str:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which signs the registry's certificate")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    _openssl(
        folder, "req", "-x509", *key, "-subj", "/CN=a test's authority", "-keyout", "ca.key", "-out", "ca.pem"
    )
    _openssl(folder, "req", *key, "-subj", "/CN=registry", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2"]
    _openssl(folder, "x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")
    return f", tls: {{certificate: {folder}/server.pem, key: {folder}/server.key}}"


def _openssl(folder: Path, *arguments: str) -> None:
    command = ["openssl", *arguments]
    subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=30)
