"""Every server of the comparison: how it is started and how it is asked.

One process or one worker each, one BLAS thread, no batching, logs off where it has a switch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asking import INFER, PLAIN, V2_INFER, Way
from environments import FOLDER_OF_OURS, HERE, cache, python

PROGRAMS = HERE / "programs"


@dataclass(frozen=True)
class Start:
    """What one start of a server is given."""

    variant: str
    rest: int
    grpc: int


@dataclass(frozen=True)
class Server:
    """One row of the tables, or two where it speaks both protocols."""

    name: str
    argv: Callable[[Start], list[str]]
    ways: tuple[Way, ...]
    environment: str = ""
    """The pins of its environment; empty = ours."""
    one_port: bool = False
    """REST and gRPC on the same port."""

    @property
    def ours(self) -> bool:
        return not self.environment

    def port(self, way: Way, start: Start) -> int:
        return start.grpc if way.protocol == "gRPC" and not self.one_port else start.rest


def _program(environment: str, name: str, *more: str) -> Callable[[Start], list[str]]:
    def argv(start: Start) -> list[str]:
        ports = {"rest": str(start.rest), "grpc": str(start.grpc), "variant": start.variant}
        return [
            str(python(environment)),
            str(PROGRAMS / f"{name}.py"),
            *(item.format(**ports) for item in more),
        ]

    return argv


def _tool(environment: str, name: str, *more: str) -> Callable[[Start], list[str]]:
    def argv(start: Start) -> list[str]:
        tool = python(environment).parent / name
        return [str(tool), *(item.format(rest=start.rest, grpc=start.grpc) for item in more)]

    return argv


def _replica(script: str, *more: str) -> Callable[[Start], list[str]]:
    def argv(start: Start) -> list[str]:
        return [
            str(cache() / FOLDER_OF_OURS / "bin" / "modelyard-replica"),
            *("--code", str(PROGRAMS), "--entry", script, "--name", "bench", "--port", str(start.rest)),
            *("--max-concurrent", "1", "--max-queued", "1024", "--queue-wait", "30000"),
            *("--env", f"BENCH_VARIANT={start.variant}", "--env", "OMP_NUM_THREADS=1"),
            *more,
        ]

    return argv


SCORE = Way("REST", "/score", PLAIN)
PROCESS = ("--isolation", "process")

OURS = (
    Server("modelyard /score", _replica("v1_script.py"), (SCORE,)),
    Server("modelyard v2", _replica("tensor_script.py"), (V2_INFER, INFER), one_port=True),
    Server("modelyard /score, process", _replica("v1_script.py", *PROCESS), (SCORE,)),
    Server("modelyard v2, process", _replica("tensor_script.py", *PROCESS), (V2_INFER, INFER), one_port=True),
)

PEERS = (
    Server(
        "Envoy, bare",
        _program("pyvoy", "on_envoy", "{variant}", "{rest}"),
        (Way("REST", "/score", PLAIN),),
        environment="pyvoy",
    ),
    Server(
        "pyvoy, bare",
        _program("pyvoy", "launch_pyvoy", "{variant}", "{rest}"),
        (Way("REST", "/score", PLAIN), INFER),
        environment="pyvoy",
        one_port=True,
    ),
    Server(
        "grpc.aio, bare",
        _program("grpc_aio", "on_grpc_aio", "{variant}", "{grpc}"),
        (INFER,),
        environment="grpc_aio",
    ),
    Server(
        "mosec",
        _program("mosec", "on_mosec", "--port", "{rest}", "--address", "127.0.0.1", "--log-level", "error"),
        (Way("REST", "/inference", PLAIN),),
        environment="mosec",
    ),
    Server(
        "KServe",
        _program("kserve", "on_kserve", "{variant}", "{rest}", "{grpc}"),
        (V2_INFER, INFER),
        environment="kserve",
    ),
    Server(
        "MLServer",
        _program("mlserver", "on_mlserver", "{variant}", "{rest}", "{grpc}"),
        (V2_INFER, INFER),
        environment="mlserver",
    ),
    Server(
        "LitServe",
        _program("litserve", "on_litserve", "{variant}", "{rest}"),
        (Way("REST", "/predict", PLAIN),),
        environment="litserve",
    ),
    Server(
        "BentoML",
        _tool("bentoml", "bentoml", "serve", "on_bentoml:Bench", "--host", "127.0.0.1", "--port", "{rest}"),
        (Way("REST", "/predict", PLAIN.replace(b'"data"', b'"rows"')),),
        environment="bentoml",
    ),
    Server(
        "Ray Serve",
        _program("ray", "on_ray", "{variant}", "{rest}"),
        (Way("REST", "/predict", PLAIN),),
        environment="ray",
    ),
    Server(
        "azmlinfsrv",
        _tool(
            "azureml",
            "azmlinfsrv",
            "--entry_script",
            "v1_script.py",
            "--port",
            "{rest}",
            "--health_port",
            "{grpc}",
        ),
        (SCORE,),
        environment="azureml",
    ),
)
