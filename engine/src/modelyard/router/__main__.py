"""`python -m modelyard.router RUN_DIR --state DIR --log FILE --upstream SOCKET`: the router's parent."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from modelyard.router.parent import Parent
from modelyard.router.places import Places
from modelyard.telemetry import LogSettings, configure


def main() -> None:
    """Read the command line and live one parent's life."""
    parser = argparse.ArgumentParser(prog="modelyard-router", description=__doc__)
    parser.add_argument("run", type=Path, help="private folder (0700) for sockets")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for the snapshot and the state file"
    )
    parser.add_argument("--log", type=Path, required=True, help="Envoy's and the parent's log")
    parser.add_argument("--upstream", type=Path, required=True, help="the controller's xDS socket")
    given = parser.parse_args()
    configure(LogSettings())
    asyncio.run(_live(Places(run=given.run, state=given.state, log=given.log, upstream=given.upstream)))


async def _live(places: Places) -> None:
    await Parent(places).run()


if __name__ == "__main__":
    main()
