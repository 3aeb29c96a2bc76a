"""A Docker daemon for tests: the one that runs already, or the machine's own dockerd in a folder of its own.

Where no init runs, dockerd is started by hand, as root. Several may run side by side, one a process of the
tests: each has its own folder, socket, networks and control group, and takes all of them with it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.testbed import daemon_remains

START_SECONDS = 30.0
STOP_SECONDS = 30.0
DEFAULT_SOCKET = Path("/var/run/docker.sock")
_NAMES = random.SystemRandom()


def why_no_daemon() -> str:
    """Say why no daemon can be started by hand; empty = it can."""
    if shutil.which("dockerd") is None:
        return "needs dockerd (Debian: docker.io)"
    if os.geteuid() != 0:
        return "needs root, to start dockerd by hand"
    return ""


def running_daemon() -> str:
    """Give the address of a daemon that runs already, as DOCKER_HOST says it; empty = none does."""
    address = os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    return address if _answers(address) else ""


@attrs.define
class DockerDaemon:
    """One dockerd with everything it has below `folder`, whose path is short: sockets lie in it."""

    folder: Path
    options: Sequence[str] = ()
    data: Path = attrs.field()
    pool: str = attrs.field(
        factory=lambda: f"10.{_NAMES.randrange(128, 250)}.{_NAMES.randrange(16) * 16}.0/20"
    )
    """Where its networks take their addresses: no other daemon's."""
    _process: subprocess.Popen[bytes] | None = None

    @data.default
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    @property
    def address(self) -> str:
        """What DOCKER_HOST would say."""
        return f"unix://{self.socket}"

    @property
    def group(self) -> str:
        """The control group of its containers."""
        return f"my-{self.folder.name}"

    def start(self) -> None:
        argv = [
            "dockerd",
            *("--data-root", str(self.data), "--exec-root", str(self.folder / "exec")),
            *("--pidfile", str(self.folder / "pid"), "--host", self.address),
            *("--bridge", "none", "--default-address-pool", f"base={self.pool},size=24"),
            *("--ip-forward=false", "--cgroup-parent", f"/{self.group}"),
            *self.options,
        ]
        self._forget_the_killed()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.address):
            died = self._process.poll() is not None
            assert not died, f"dockerd ended: {self.log()}"
            assert time.monotonic() < deadline, f"dockerd does not answer: {self.log()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as a system that goes down does: its containers end with it, unless live-restore is on."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the kernel would, short of memory: its containers go on."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """Remove everything it made, whatever state it is in."""
        if _answers(self.address):
            with contextlib.suppress(Exception):  # its disk may be full: the rest is taken by force
                _remove_everything(self.address)
        self.stop()
        daemon_remains.remove(self.folder, self.data, group=self.group, pool=self.pool)

    def _forget_the_killed(self) -> None:
        """Remove what names a killed dockerd and its containerd, which nobody may have reaped yet."""
        for file in (self.folder / "pid", self.folder / "exec/containerd/containerd.pid"):
            if file.exists() and not daemon_remains.runs(file.read_text()):
                file.unlink()

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(with_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def own_daemon(*, options: Sequence[str] = (), data: Path | None = None) -> Iterator[DockerDaemon]:
    """Start one by hand; skips the test, with the reason, where that cannot be."""
    if reason := why_no_daemon():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="dd-", dir="/tmp"))
    daemon = DockerDaemon(folder, options, data or folder / "data")
    chains = daemon_remains.chains()
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.close()
        daemon_remains.remove_chains(besides=chains)


@contextlib.contextmanager
def any_daemon() -> Iterator[str]:
    """Give the address of a daemon: of one that runs, else of one started by hand, else skip."""
    if address := running_daemon():
        yield address
        return
    with own_daemon() as daemon:
        yield daemon.address


def docker_client(address: str) -> Any:
    """Speak to a daemon as its users do."""
    import docker

    return docker.DockerClient(base_url=address, timeout=60)


def _remove_everything(address: str) -> None:
    with contextlib.closing(docker_client(address)) as client:
        for container in client.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)
        client.networks.prune()


def _answers(address: str) -> bool:
    kind, _, place = address.partition("://")
    if kind != "unix":
        return kind == "tcp"  # the user named it: whether it answers is for the test to see
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(place)
            probe.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
            return b" 200 " in probe.recv(64)
        except OSError:
            return False
