"""What a dockerd leaves behind when it, or its disk, was killed: found by what is its own alone, and removed."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Iterator
from pathlib import Path

_CHAIN_TABLES = ("filter", "nat")
_GROUPS = Path("/sys/fs/cgroup")


def remove(folder: Path, data: Path, *, group: str, pool: str) -> None:
    """Remove processes, mounts, bridges with their rules, control groups, then the folders."""
    _end_processes(folder, group)
    _unmount_below(folder, data)
    for bridge in _bridges(pool):
        _delete_rules(bridge)
        _quietly("ip", "link", "delete", bridge)
    for found in _GROUPS.glob(f"**/{group}"):
        for inner in sorted((found, *found.rglob("*/")), reverse=True):
            with contextlib.suppress(OSError):
                inner.rmdir()
    shutil.rmtree(data, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def chains() -> frozenset[tuple[str, str]]:
    """List the chains of rules that belong to Docker, by table."""
    return frozenset(
        (table, line.split()[1])
        for table in _CHAIN_TABLES
        for line in _quietly("iptables", "-t", table, "-S").splitlines()
        if line.startswith("-N DOCKER")
    )


def remove_chains(*, besides: Collection[tuple[str, str]]) -> None:
    """Remove Docker's chains that were not there before, unless another daemon runs."""
    if any(_command(process)[:1] == ["dockerd"] for process in Path("/proc").glob("[0-9]*")):
        return
    new = sorted(chains() - frozenset(besides))
    for table, chain in new:
        for line in _quietly("iptables", "-t", table, "-S").splitlines():
            if f"-j {chain}" in line:
                _quietly("iptables", "-t", table, *_as_deletion(line))
        _quietly("iptables", "-t", table, "-F", chain)
    for table, chain in new:
        _quietly("iptables", "-t", table, "-X", chain)


def _end_processes(folder: Path, group: str) -> None:
    deadline = time.monotonic() + 10
    while (found := list(processes(folder, group))) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def processes(folder: Path, group: str) -> Iterator[int]:
    """Find containerd and its shims by the folder they were told, containers by their control group."""
    for process in Path("/proc").glob("[0-9]*"):
        told = any(str(folder / "exec") in argument for argument in _command(process))
        if (told or f"/{group}/" in _read(process / "cgroup")) and runs(process.name):
            yield int(process.name)


def runs(pid: str) -> bool:
    """Say whether there is such a process, and it is more than an entry that nobody has reaped."""
    state = _read(Path("/proc") / pid.strip() / "stat").rpartition(")")[2].split()
    return bool(state) and state[0] != "Z"


def _command(process: Path) -> list[str]:
    words = _read(process / "cmdline").split("\0")
    return [words[0].rpartition("/")[2], *words[1:]]


def _unmount_below(*folders: Path) -> None:
    mounts = [line.split()[4] for line in _read(Path("/proc/self/mountinfo")).splitlines()]
    for mount in sorted(mounts, key=len, reverse=True):
        if any(mount.startswith(f"{folder}/") for folder in folders):
            _quietly("umount", "--lazy", mount)


def _bridges(pool: str) -> Iterator[str]:
    network = ipaddress.ip_network(pool)
    for link in json.loads(_quietly("ip", "-json", "-4", "address") or "[]"):
        addresses = [one["local"] for one in link.get("addr_info", ())]
        ours = any(ipaddress.ip_address(address) in network for address in addresses)
        if ours and link["ifname"].startswith("br-"):
            yield link["ifname"]


def _delete_rules(bridge: str) -> None:
    for table in _CHAIN_TABLES:
        for line in _quietly("iptables", "-t", table, "-S").splitlines():
            if bridge in shlex.split(line):
                _quietly("iptables", "-t", table, *_as_deletion(line))


def _as_deletion(rule: str) -> list[str]:
    return ["-D", *shlex.split(rule)[1:]]


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _quietly(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        return ""
    return subprocess.run(argv, check=False, capture_output=True, text=True).stdout
