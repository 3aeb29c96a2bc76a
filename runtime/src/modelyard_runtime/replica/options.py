"""The command line of a replica started by hand: its options, and how their values are read."""

from __future__ import annotations

import argparse
import math
import re

from modelyard_runtime.contract import StartContract

DEFAULT_PORT = 5001
"""v1's."""
_SIZE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>Ki|Mi|Gi|Ti|K|M|G|T)?")
_UNITS = {
    "": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HIGHEST_PORT = 65535
_DESCRIPTION = """\
Start one replica by hand: load a scoring script, answer HTTP and gRPC on one port.
It is the program that every target starts. A target gives it one file: modelyard-replica CONTRACT; a container
gives it a variable: modelyard-replica --from-environment, and asks how it is with modelyard-replica --health.
"""
_EPILOG = """\
Nothing of this shell's environment reaches the script but PATH, HOME, LANG, LC_*, TMPDIR, TZ and USER: say --env.
Sizes are written 512Mi, 2Gi or 1000000. The exit code tells why a replica could not serve.
"""
_Group = argparse._ArgumentGroup  # noqa: SLF001  # argparse gives the type no public name


def make_parser() -> argparse.ArgumentParser:
    """Build the parser; defaults are the contract's."""
    parser = argparse.ArgumentParser(
        prog="modelyard-replica",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _say_what(parser.add_argument_group("what to serve"))
    _say_where(parser.add_argument_group("where, and what is told"))
    _say_workers(parser.add_argument_group("how the script runs"))
    _say_limits(parser.add_argument_group("limits"))
    _say_protocol(parser.add_argument_group("answers"))
    return parser


def _say_what(group: _Group) -> None:
    group.add_argument("--code", metavar="DIR", required=True, help="the folder with the scoring script")
    group.add_argument("--entry", metavar="FILE", default="score.py", help="the script in it (score.py)")
    group.add_argument(
        "--model",
        metavar="[NAME[:VERSION]=]PATH",
        action="append",
        default=[],
        help="a model's file or folder; again for more. NAME: the path's last part, VERSION: 0, as in v1",
    )
    group.add_argument(
        "--app-root",
        metavar="DIR",
        help="a folder that holds azureml-models/<name>/<version>, instead of --model",
    )
    group.add_argument(
        "--multi-model",
        action="store_true",
        help="serve each model by its own name, in processes of its own, loaded when it is asked for",
    )
    group.add_argument("--name", metavar="SERVICE", help="the service's name (the code folder's)")
    group.add_argument(
        "--sample", metavar="FILE", help="a request body that is scored once before it is ready"
    )


def _say_where(group: _Group) -> None:
    group.add_argument("--host", default=_default("host"), help="the address to listen on (127.0.0.1)")
    group.add_argument("--port", type=port, default=DEFAULT_PORT, help=f"0 = any free one ({DEFAULT_PORT})")
    group.add_argument("--check", action="store_true", help="load, score the sample, print the answer, end")
    group.add_argument("--json", action="store_true", help="tell events as JSON lines on standard output")


def _say_workers(group: _Group) -> None:
    group.add_argument(
        "--isolation",
        choices=("auto", "thread", "process"),
        default="auto",
        help="thread: in the server's process; process: in processes of --python; auto: thread where it can be",
    )
    group.add_argument(
        "--python", metavar="FILE", help="the script's own interpreter, 3.8 or newer (this one)"
    )
    group.add_argument("--workers", type=count, metavar="N", help="processes, each with its init() (1)")
    group.add_argument(
        "--max-batch-size", type=count, default=1, metavar="N", help="requests run together (1)"
    )
    group.add_argument(
        "--max-batch-wait", type=milliseconds, default=0.0, metavar="MS", help="how long the first waits (0)"
    )
    group.add_argument(
        "--env",
        type=variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the script's",
    )


def _say_limits(group: _Group) -> None:
    group.add_argument(
        "--max-concurrent", type=count, metavar="N", help="requests run at once (as many as --workers)"
    )
    group.add_argument("--max-queued", type=whole, metavar="N", help="(10 times --max-concurrent)")
    group.add_argument(
        "--queue-wait", type=milliseconds, default=_default("queue_wait_s"), metavar="MS", help="(500)"
    )
    group.add_argument("--timeout", type=seconds, metavar="S", help="one request (60)")
    group.add_argument(
        "--startup-timeout",
        type=seconds,
        default=_default("startup_timeout_s"),
        metavar="S",
        help="init() (300)",
    )
    group.add_argument("--drain-timeout", type=seconds, metavar="S", help="(--queue-wait and --timeout)")
    group.add_argument(
        "--max-body", type=size_bytes, default=_default("max_body_bytes"), metavar="SIZE", help="(100M)"
    )
    group.add_argument(
        "--memory", type=size_bytes, default=0, metavar="SIZE", help="the whole replica's (no limit)"
    )
    group.add_argument(
        "--model-memory",
        type=size_bytes,
        default=0,
        metavar="SIZE",
        help="with --multi-model: past it the least recently used models are unloaded (no limit)",
    )


def _say_protocol(group: _Group) -> None:
    group.add_argument(
        "--cors",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="browsers may call from it; * = from any",
    )
    group.add_argument(
        "--compat", choices=("strict-v1",), default="", help="answer as v1 did, where it was wrong too"
    )
    group.add_argument("--compression", action="store_true", help="gzip on gRPC")
    group.add_argument(
        "--max-compression-ratio",
        type=count,
        default=_default("max_compression_ratio"),
        metavar="N",
        help="(100)",
    )


def _default(field: str) -> object:
    return StartContract.__dataclass_fields__[field].default


def size_bytes(text: str) -> int:
    """Read a size as Kubernetes writes it: 512Mi, 2Gi, 1000."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write it as 512Mi, 2Gi or 1000000")
    return int(float(match["number"]) * _UNITS[match["unit"] or ""])


def variable(text: str) -> tuple[str, str]:
    """Read NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or _VARIABLE.fullmatch(name) is None:
        raise argparse.ArgumentTypeError(f"{name!r}: write a variable as NAME=VALUE")
    return name, value


def seconds(text: str) -> float:
    """Read a time over zero."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds over 0")
    return value


def milliseconds(text: str) -> float:
    """Read a time of zero or more, in milliseconds; returns seconds."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds")
    return value / 1000


def count(text: str) -> int:
    """Read a number of at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def whole(text: str) -> int:
    """Read a number of zero or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def port(text: str) -> int:
    """Read a TCP port; 0 = one that is free."""
    if not text.isdecimal() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a port: 1 to {_HIGHEST_PORT}, or 0 for any that is free"
        )
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
