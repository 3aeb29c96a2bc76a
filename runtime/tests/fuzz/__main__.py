"""`make fuzz`: coverage-guided fuzzing of each target in turn, in an environment that has atheris.

atheris ends its process when it is done, so each target runs in one of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["modelyard_runtime"]):
    from modelyard_runtime.server.grpc import compression
    from modelyard_runtime.server.grpc.calls import PREFIX

    from runtime.tests.fuzz.targets import TARGETS

from runtime.tests.fuzz import corpus, seeds

MAX_INPUT_BYTES = 2048
MOST_KEPT = 40
LONGEST_KEPT_BYTES = 256


def _framed(message: bytes, *, compressed: bool = False) -> bytes:
    return PREFIX.pack(compressed, len(message)) + message


SEEDS = {
    "grpc_infer": seeds.infers(),
    "tfserving_predict": seeds.predictions(),
    "rest_infer": [b"\0" + text.encode() for text in seeds.rest_infers()],
    "grpc_compression": [compression.compress(b"a" * size) for size in (0, 1, 5000, 100_000)],
    "grpc_timeout": [b"1H", b"2M", b"3S", b"4m", b"5u", b"99999999n", b"100000000S"],
    "grpc_call": [b"\0\0" + _framed(one) for one in (b"", b"a" * 600, *seeds.infers()[:2])],
    "grpc_stream": [b"\0\x07" + 3 * _framed(one) for one in (b"", b"abc", *seeds.infers()[:1])]
    + [b"\x01\0" + _framed(compression.compress(b"a" * size), compressed=True) for size in (9, 5000)],
    "json_body": [text.encode() for text in seeds.SCHEMA_BODIES],
}


def main() -> int:
    """Fuzz; 1 where an input broke a target."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=5, help="for each target")
    parser.add_argument("--keep", action="store_true", help="add the short inputs that reached new code")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := set(chosen.targets) - set(TARGETS):
        parser.error(f"no target is called {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if chosen.folder:
        return _fuzz(chosen.targets[0], chosen.folder, chosen.seconds)
    broken = [
        target for target in chosen.targets or TARGETS if _run(target, chosen.seconds, keep=chosen.keep)
    ]
    print(f"broken: {', '.join(broken)}" if broken else "no input broke anything")  # noqa: T201  # a command
    return bool(broken)


def _run(target: str, seconds: int, *, keep: bool) -> bool:
    """Fuzz in a process of its own; True where something broke."""
    with tempfile.TemporaryDirectory() as named:
        known, crashes = Path(named, "known"), Path(named, "crashes")
        known.mkdir()
        crashes.mkdir()
        begin = {*corpus.read(target), *SEEDS.get(target, ())}
        for number, data in enumerate(begin):
            (known / str(number)).write_bytes(data)
        own = [sys.executable, "-m", "runtime.tests.fuzz", target]
        ended = subprocess.run([*own, f"--folder={named}", f"--seconds={seconds}"], check=False)
        found = [path.read_bytes() for path in known.iterdir()]
        print(f"{target}: {len(found) - len(begin)} new inputs, exit {ended.returncode}", flush=True)  # noqa: T201  # a command
        for path in crashes.iterdir():
            print(f"  add to corpus/{target}.hex once it is mended: {path.read_bytes().hex()}", flush=True)  # noqa: T201  # a command
        if keep and not ended.returncode:
            short = sorted((one for one in found if len(one) <= LONGEST_KEPT_BYTES), key=len)
            corpus.write(target, [*corpus.read(target), *short[:MOST_KEPT]])
        return ended.returncode != 0


def _fuzz(target: str, folder: Path, seconds: int) -> int:
    limits = [f"-max_total_time={seconds}", f"-max_len={MAX_INPUT_BYTES}", "-timeout=10", "-verbosity=0"]
    options = [*limits, f"-artifact_prefix={folder}/crashes/", str(folder / "known")]
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
