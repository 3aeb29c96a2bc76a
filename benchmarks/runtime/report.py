"""Medians, ratios of the same round, and the gates; as markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rounds import Round, key
from servers import Server

BARE, SCORE, V2 = "pyvoy, bare", "modelyard /score", "modelyard v2"
SCORE_PROCESS, V2_PROCESS = "modelyard /score, process", "modelyard v2, process"
CROWD = 512

Pick = Callable[[Round], float | None]


def rate(server: str, protocol: str, variant: str, connections: int = 16) -> Pick:
    return of_load("rate", server, protocol, variant, connections)


def of_load(figure: str, server: str, protocol: str, variant: str, connections: int = 16) -> Pick:
    name = key(server, protocol, variant, connections)
    return lambda found: found.loads[name][figure] if name in found.loads else None


def figure(*parts: str) -> Pick:
    return lambda found: found.figures.get(key(*parts))


def median(rounds: Sequence[Round], pick: Pick) -> float | None:
    values = [value for found in rounds if (value := pick(found)) is not None]
    return statistics.median(values) if values else None


def ratio(rounds: Sequence[Round], ours: Pick, theirs: Pick) -> float | None:
    """Return the median of the ratios taken within each round."""
    values = [a / b for found in rounds if (a := ours(found)) is not None and (b := theirs(found))]
    return statistics.median(values) if values else None


@dataclass(frozen=True)
class Gate:
    """One promise: a ratio of ours to somebody's, and the bound it must keep."""

    name: str
    ours: Pick
    theirs: Pick
    bound: float
    at_most: bool = False

    def line(self, rounds: Sequence[Round]) -> str:
        found = ratio(rounds, self.ours, self.theirs)
        sign = "<=" if self.at_most else ">="
        if found is None:
            return f"| {self.name} | {sign} {self.bound:g} | - | not measured |"
        kept = found <= self.bound if self.at_most else found >= self.bound
        return f"| {self.name} | {sign} {self.bound:g} | {found:.2f} | {'met' if kept else '**missed**'} |"


def gates(peers: Sequence[str]) -> Iterator[Gate]:
    """Yield every gate, in the issue's order; `peers` are those that cold start is compared with."""
    grpc, rest = "gRPC", "REST"
    yield _faster("gRPC identity / KServe", V2, grpc, "identity", "KServe", 4)
    yield _faster("gRPC identity / grpc.aio", V2, grpc, "identity", "grpc.aio, bare", 2.5)
    yield _faster("gRPC iris / KServe", V2, grpc, "iris", "KServe", 2)
    for ours in (SCORE, V2):
        yield _faster(f"REST identity, {ours} / mosec", ours, rest, "identity", "mosec", 2)
        yield _faster(f"REST iris, {ours} / mosec", ours, rest, "iris", "mosec", 1.15)
    for variant in ("identity", "iris"):
        for ours, protocol in ((SCORE, rest), (V2, rest), (V2, grpc)):
            yield _faster(f"{protocol} {variant}, {ours} / bare pyvoy", ours, protocol, variant, BARE, 0.8)
    yield _faster("process: REST identity / mosec", SCORE_PROCESS, rest, "identity", "mosec", 1)
    yield _faster("process: gRPC identity / KServe", V2_PROCESS, grpc, "identity", "KServe", 2)
    for ours, protocol in ((SCORE, rest), (V2, rest), (V2, grpc)):
        crowded, usual = rate(ours, protocol, "identity", CROWD), rate(ours, protocol, "identity")
        yield Gate(f"{protocol}, {ours}: {CROWD} connections / 16", crowded, usual, 0.9)
    yield Gate(
        "10 MB p50 / grpc.aio",
        figure("large p50 ms", V2),
        figure("large p50 ms", "grpc.aio, bare"),
        1,
        at_most=True,
    )
    for variant in ("identity", "iris"):
        idle = figure("idle MB", V2, variant), figure("idle MB", "KServe", variant)
        yield Gate(f"idle PSS {variant} / KServe", *idle, 1.1, at_most=True)
    for variant in ("identity", "iris"):
        yield Gate(
            f"cold start {variant} / fastest peer",
            figure("cold s", V2, variant),
            _fastest(variant, peers),
            1,
            at_most=True,
        )
        bare = figure("cold s", "grpc.aio, bare", variant)
        yield Gate(f"cold start {variant} / grpc.aio", figure("cold s", V2, variant), bare, 1, at_most=True)


def _faster(
    name: str, ours: str, protocol: str, variant: str, theirs: str, bound: float
) -> Gate:  # a row of a table
    return Gate(name, rate(ours, protocol, variant), rate(theirs, protocol, variant), bound)


def _fastest(variant: str, peers: Sequence[str]) -> Pick:
    names = [key("cold s", peer, variant) for peer in peers]
    return lambda found: min((found.figures[name] for name in names if name in found.figures), default=None)


def markdown(rounds: Sequence[Round], servers: Sequence[Server]) -> str:
    """Return the whole report."""
    peers = [server.name for server in servers if not server.ours and "bare" not in server.name]
    parts = [
        _throughput(rounds, servers, "REST", against="mosec"),
        _throughput(rounds, servers, "gRPC", against="KServe"),
        _latency(rounds, servers),
        _cost(rounds, servers),
        "\n".join(
            [
                "| gate | bound | measured | |",
                "|---|---|---|---|",
                *(gate.line(rounds) for gate in gates(peers)),
            ]
        ),
        _failures(rounds),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _throughput(rounds: Sequence[Round], servers: Sequence[Server], protocol: str, *, against: str) -> str:
    figures = " | ".join(f"{it} req/s | x {against} | x bare pyvoy | CPU us" for it in ("identity", "iris"))
    head = f"| {protocol}, 16 connections | {figures} |"
    lines = [head, "|---" * 9 + "|"]
    for server in speaking(servers, protocol):
        cells = [server.name]
        for variant in ("identity", "iris"):
            ours = rate(server.name, protocol, variant)
            cells += [
                _cell(median(rounds, ours), ",.0f"),
                _cell(ratio(rounds, ours, rate(against, protocol, variant)), ".2f"),
                _cell(ratio(rounds, ours, rate(BARE, protocol, variant)), ".2f"),
                _cell(median(rounds, of_load("cpu_us", server.name, protocol, variant)), ",.0f"),
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _latency(rounds: Sequence[Round], servers: Sequence[Server]) -> str:
    lines = [
        f"| identity, ms | c1 p50 / p99 | c16 p50 / p99 | c{CROWD} p50 / p99 | rate c{CROWD}/c16 | errors |",
        "|---" * 6 + "|",
    ]
    for protocol in ("REST", "gRPC"):
        for server in speaking(servers, protocol):
            name = (server.name, protocol, "identity")
            cells = [f"{server.name}, {protocol}"]
            for connections in (1, 16, CROWD):
                tails = [median(rounds, of_load(p, *name, connections)) for p in ("p50_ms", "p99_ms")]
                cells.append(" / ".join(_cell(value, ".2f") for value in tails))
            crowded = ratio(rounds, rate(*name, CROWD), rate(*name))
            errors = sum(
                load["errors"]
                for found in rounds
                for at, load in found.loads.items()
                if at.startswith(f"{key(server.name, protocol)} |")
            )
            lines.append(f"| {' | '.join([*cells, _cell(crowded, '.2f'), f'{errors:g}'])} |")
    return "\n".join(lines)


def _cost(rounds: Sequence[Round], servers: Sequence[Server]) -> str:
    lines = [
        "| | cold start s, identity / iris | idle PSS MB, identity / iris | processes | 10 MB p50 ms | CPU ms |",
        "|---" * 6 + "|",
    ]
    for server in servers:
        cells = [server.name]
        for what, form in (("cold s", ".2f"), ("idle MB", ".0f")):
            both = [median(rounds, figure(what, server.name, variant)) for variant in ("identity", "iris")]
            cells.append(" / ".join(_cell(value, form) for value in both))
        cells.append(_cell(median(rounds, figure("processes", server.name, "identity")), ".0f"))
        cells.append(_cell(median(rounds, figure("large p50 ms", server.name)), ".1f"))
        cells.append(_cell(median(rounds, figure("large cpu ms", server.name)), ".1f"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _failures(rounds: Sequence[Round]) -> str:
    return "\n".join(f"- failed: {line}" for found in rounds for line in found.failures)


def speaking(servers: Sequence[Server], protocol: str) -> list[Server]:
    return [server for server in servers if any(way.protocol == protocol for way in server.ways)]


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
