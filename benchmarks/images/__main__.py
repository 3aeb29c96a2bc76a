"""Building and pushing an image: ours against `docker build` and `docker push`, on one machine in one run.

An environment of about 200 MB (the digits example's, with the server's own packages) and a model of 100 MB of
random bytes, on a base made of this machine's Python, into a registry of the distribution project on loopback.
Both sides install the same locked wheels from one folder served on loopback. Nothing is cached before a cold
build but the base; each round has fresh folders. Needs root, dockerd and docker-registry.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from images.report import Round, show  # noqa: E402  the checkout is no package
from images.rounds import run_round  # noqa: E402
from images.site import site  # noqa: E402
from stand import keep  # noqa: E402


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--model-mb", type=int, default=100)
    chosen = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="my-images-", dir="/tmp"))
    rounds: list[Round] = []
    try:
        with site(folder, model_bytes=chosen.model_mb * 1_000_000) as place:
            for number in range(chosen.rounds):
                rounds.append(run_round(place, number))
                print(rounds[-1], flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(rounds)
    keep("images", [vars_of(one) for one in rounds])


def vars_of(one: Round) -> dict[str, object]:
    import attrs

    return attrs.asdict(one)


if __name__ == "__main__":
    main()
