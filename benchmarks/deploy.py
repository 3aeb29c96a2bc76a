"""How long a deploy of the digits takes: environment cached -> ready, and a code-only change.

Wall time of the whole `engine deploy` command, from start to exit, which is when the version serves.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from stand import ROOT, Stand, keep, spread, stand

ROUNDS = 5


def main() -> None:
    with stand() as bench:
        folder = bench.folder / "digits"
        shutil.copytree(ROOT / "examples" / "digits", folder)
        first = timed(bench, folder)
        cached, changed = [], []
        for number in range(ROUNDS):
            bench.cli("delete", "digits")
            cached.append(timed(bench, folder))
            with (folder / "score.py").open("a") as script:
                script.write(f"# change {number}\n")
            changed.append(timed(bench, folder))
    print(f"first deploy, environment built: {first:.2f} s")
    print(f"environment cached -> serving:   {spread(cached)} s")
    print(f"code-only change -> serving:     {spread(changed)} s")
    keep("deploy", {"first": first, "cached": cached, "changed": changed})


def timed(bench: Stand, folder: Path) -> float:
    started = time.perf_counter()
    bench.cli("deploy", folder)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
