"""Check of the Docker daemon: whether replicas can be its containers. Its absence harms nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from modelyard.api import Finding, ModelyardError, Severity
from modelyard.builtin.machine import FULL_BYTES, LOW_BYTES, MIB
from modelyard.containers import Daemon, DaemonFacts, daemon_address
from modelyard.processes import free_bytes

PATIENCE_SECONDS = 2.0
_INSTALL = "install Docker (https://docs.docker.com/engine/install/) if you want containers"


def daemon(environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """Ask the daemon what it is, and judge whether replicas would be well there."""
    asked = Daemon(daemon_address(environ))
    if not asked.is_local:
        fix = (
            "unset DOCKER_HOST, or name a local socket in it: the router does not reach containers elsewhere"
        )
        return (Finding("docker", asked.address, Severity.INFO, "a daemon of another machine", fix),)
    path = asked.address.removeprefix("unix://")
    if not Path(path).exists():
        return (Finding("docker", path, Severity.INFO, "not installed", _INSTALL),)
    try:
        facts = asked.facts_here(seconds=PATIENCE_SECONDS)
    except ModelyardError as error:
        return (Finding("docker", path, Severity.WARNING, error.message, error.remedy),)
    return tuple(judge(facts, path))


def judge(facts: DaemonFacts, path: str) -> Iterator[Finding]:
    """Say of a daemon's facts what they mean for replicas."""
    yield Finding("docker", path, Severity.OK, f"Docker {facts.version} answers")
    yield Finding("docker", "storage driver", Severity.OK, facts.storage_driver)
    if facts.rootless:
        fix = "use the system's daemon: `DOCKER_HOST=unix:///var/run/docker.sock`"
        yield Finding(
            "docker", path, Severity.WARNING, "rootless: the router reaches no container of it", fix
        )
    yield _live_restore(facts)
    yield from _limits(facts)
    yield from _space(facts)


def _live_restore(facts: DaemonFacts) -> Finding:
    subject = "restart of the daemon"
    if facts.live_restore:
        return Finding("docker", subject, Severity.OK, "live-restore is on: replicas run through it")
    fix = 'set `"live-restore": true` in /etc/docker/daemon.json to have them run through it'
    return Finding("docker", subject, Severity.INFO, "replicas start anew with it", fix)


def _limits(facts: DaemonFacts) -> Iterator[Finding]:
    for has, what in ((facts.has_memory_limits, "memory"), (facts.has_cpu_limits, "CPU")):
        subject = f"{what} limits of containers"
        if has:
            yield Finding("docker", subject, Severity.OK, "enforced by the kernel")
        else:
            fix = f"give Docker the {what.lower()} controller of cgroups (`docker info` says what is missing)"
            yield Finding("docker", subject, Severity.WARNING, "not enforced", fix)


def _space(facts: DaemonFacts) -> Iterator[Finding]:
    subject = f"Docker's folder {facts.root}"
    try:
        free = free_bytes(Path(facts.root))
    except (OSError, StopIteration):
        return
    if free >= LOW_BYTES:
        yield Finding("docker", subject, Severity.OK, f"{free // MIB} MiB free")
        return
    severity = Severity.WARNING if free >= FULL_BYTES else Severity.ERROR
    fix = f"`docker system prune`, or give it a larger disk ({LOW_BYTES // MIB} MiB is enough)"
    yield Finding("docker", subject, severity, f"only {free // MIB} MiB free", fix)
