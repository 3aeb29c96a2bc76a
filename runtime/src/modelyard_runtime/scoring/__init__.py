"""Scoring: the front's side of the workers that run the user's script.

What lives here: pools of threads and of processes, admission, batching, streams. Never HTTP or gRPC, and
never the user's code itself, which `modelyard_runtime.worker` runs.
This room may import `worker` and `contract`.
"""

from modelyard_runtime.scoring.making import make_pool
from modelyard_runtime.scoring.pool import Pool
from modelyard_runtime.scoring.refusals import Left, Overloaded, Refusal, TimedOut, Unready
from modelyard_runtime.scoring.streams import Channel, InferStream, ScoreStream
from modelyard_runtime.worker.failures import Failure

__all__ = [
    "Channel",
    "Failure",
    "InferStream",
    "Left",
    "Overloaded",
    "Pool",
    "Refusal",
    "ScoreStream",
    "TimedOut",
    "Unready",
    "make_pool",
]
