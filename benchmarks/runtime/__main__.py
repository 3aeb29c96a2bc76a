"""Every Python model server of note and ours, on one core, in one run.

    python benchmarks/runtime [--rounds 5] [--peers NAME ...] [--quick]

Environments, logs and raw results lie in the user's cache folder; the tables are printed and written there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import signal
import sys
import time
from pathlib import Path

from environments import cache, ours, python
from report import CROWD, markdown
from rounds import Round, Wanted, one_round
from running import adopt_orphans, stay_off_the_servers_core
from servers import OURS, PEERS, Server

FULL = Wanted(("identity", "iris"), (16, 1), seconds=1.0, large=True, crowd=CROWD)
QUICK = Wanted(("identity",), (16,), seconds=1.0, large=False)


def main() -> None:
    options = arguments()
    for tool in ("wrk", "h2load", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing (Debian: apt install wrk nghttp2-client util-linux)")
    servers = chosen(options.peers if options.peers is not None else ["pyvoy"] if options.quick else None)
    ours()
    for server in servers:
        if server.environment:
            python(server.environment)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    adopt_orphans()
    stay_off_the_servers_core()
    wanted = dataclasses.replace(QUICK if options.quick else FULL, seconds=options.seconds)
    rounds: list[Round] = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        rounds.append(one_round(servers if number % 2 == 0 else servers[::-1], wanted))
        report = keep(rounds, servers, options.markdown)
    print(f"\n{report}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/runtime", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of each load; the crowded one takes twice as long"
    )
    parser.add_argument(
        "--peers", nargs="*", metavar="NAME", help="only those whose names begin so (all); ours always run"
    )
    parser.add_argument(
        "--quick", action="store_true", help="ours and bare pyvoy, the identity, 16 connections"
    )
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    return parser.parse_args()


def chosen(peers: list[str] | None) -> list[Server]:
    if peers is None:
        return [*OURS, *PEERS]
    starts = tuple(name.lower() for name in peers)
    found = [server for server in PEERS if server.name.lower().startswith(starts)]
    if starts and not found:
        raise SystemExit(f"no such peers; there are {', '.join(server.name for server in PEERS)}")
    return [*OURS, *found]


def keep(rounds: list[Round], servers: list[Server], more: Path | None) -> str:
    """Write what is known so far after every round: a run that is cut short is not lost."""
    report = markdown(rounds, servers)
    folder = cache() / "results"
    folder.mkdir(exist_ok=True)
    raw = [dataclasses.asdict(found) for found in rounds]
    (folder / f"{time.strftime('%Y%m%d')}.json").write_text(json.dumps(raw, indent=1))
    for path in (folder / "table.md", more):
        if path is not None:
            path.write_text(report)
    return report


if __name__ == "__main__":
    main()
