"""One round: every server afresh, in order or in reverse, every figure of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from asking import Way
from large_tensor import large_tensor
from load import Load, load
from measuring import pss_mb
from running import NotServing, Running, running
from servers import Server

NOISY = 0.25
"""Cores used by others during a load; above this it is repeated once and the quieter one is kept."""
IDLE_S = 1.0


@dataclass(frozen=True)
class Wanted:
    """What to measure."""

    variants: tuple[str, ...]
    connections: tuple[int, ...]
    seconds: float
    large: bool
    crowd: int = 0
    """Connections of the crowded load, with the identity only; 0 = none."""


@dataclass
class Round:
    """Figures by server, variant and, where it matters, protocol and connections."""

    loads: dict[str, dict[str, float]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def key(*parts: object) -> str:
    """Name a figure: server, protocol, variant, connections ..."""
    return " | ".join(str(part) for part in parts)


def one_round(servers: Iterable[Server], wanted: Wanted) -> Round:
    result = Round()
    for variant in wanted.variants:
        for server in servers:
            _guarded(result, server, variant, wanted)
    if wanted.large:
        for server in servers:
            if any(way.protocol == "gRPC" for way in server.ways):
                _guarded(result, server, "tensor", wanted)
    return result


def _guarded(result: Round, server: Server, variant: str, wanted: Wanted) -> None:
    """A server that fails is reported and the round goes on without it."""
    measure = _measure_large if variant == "tensor" else _measure
    try:
        measure(result, server, variant, wanted)
    except NotServing as error:
        result.failures.append(str(error))
        print(f"FAILED {error}", flush=True)


def _measure_large(result: Round, server: Server, variant: str, _wanted: Wanted) -> None:
    with running(server, variant) as up:
        found = large_tensor(up)
    result.figures[key("large p50 ms", server.name)] = found.p50_ms
    result.figures[key("large cpu ms", server.name)] = found.cpu_ms
    print(f"  {server.name:<26} 10 MB {found.p50_ms:7.1f} ms, CPU {found.cpu_ms:.1f} ms", flush=True)


def _measure(result: Round, server: Server, variant: str, wanted: Wanted) -> None:
    with running(server, variant) as up:
        time.sleep(IDLE_S)
        result.figures[key("cold s", server.name, variant)] = up.cold_s
        result.figures[key("idle MB", server.name, variant)] = pss_mb(up.pids)
        result.figures[key("processes", server.name, variant)] = len(up.pids)
        for way in server.ways:
            _measure_way(result, up, way, wanted)


def _measure_way(result: Round, up: Running, way: Way, wanted: Wanted) -> None:
    length = up.check(way)
    _load(up, way, 16, min(1.0, wanted.seconds), length)
    crowd = [wanted.crowd] if wanted.crowd and up.start.variant == "identity" else []
    for connections in [*wanted.connections, *crowd]:
        seconds = wanted.seconds * (2 if connections == wanted.crowd else 1)
        found = _quiet_load(up, way, connections, seconds, length)
        result.loads[key(up.server.name, way.protocol, up.start.variant, connections)] = vars(found)
        print(
            f"  {up.server.name:<26} {way.protocol} {up.start.variant:<8} c{connections:<4}"
            f"{found.rate:8.0f} req/s {found.cpu_us:7.0f} us CPU  p50 {found.p50_ms:.2f} p99 {found.p99_ms:.2f} ms"
            f"  others {found.others:.2f}" + (f"  {found.errors} ERRORS" if found.errors else ""),
            flush=True,
        )
    up.check(way)


def _quiet_load(up: Running, way: Way, connections: int, seconds: float, length: int) -> Load:
    found = _load(up, way, connections, seconds, length)
    if found.others <= NOISY:
        return found
    return min(found, _load(up, way, connections, seconds, length), key=lambda load: load.others)


def _load(up: Running, way: Way, connections: int, seconds: float, length: int) -> Load:
    return load(
        way, up.port(way), root=up.process.pid, connections=connections, seconds=seconds, length=length
    )
