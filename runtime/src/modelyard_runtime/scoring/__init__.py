"""Scoring: the front's side of the workers that run the user's script.

What lives here: the catalog of models, pools of threads and of processes, admission, batching, streams.
Never HTTP or gRPC, and never the user's code itself, which `modelyard_runtime.worker` runs.
This room may import `worker` and `contract`.
"""

from modelyard_runtime.scoring.catalog import MAIN, Catalog, Standing
from modelyard_runtime.scoring.evicting import Key
from modelyard_runtime.scoring.making import make_catalog
from modelyard_runtime.scoring.pool import Pool
from modelyard_runtime.scoring.refusals import (
    Interrupted,
    Left,
    Overloaded,
    Refusal,
    TimedOut,
    Unknown,
    Unloadable,
    Unready,
)
from modelyard_runtime.scoring.streams import Channel, InferStream, ScoreStream
from modelyard_runtime.worker.failures import Failure

__all__ = [
    "MAIN",
    "Catalog",
    "Channel",
    "Failure",
    "InferStream",
    "Interrupted",
    "Key",
    "Left",
    "Overloaded",
    "Pool",
    "Refusal",
    "ScoreStream",
    "Standing",
    "TimedOut",
    "Unknown",
    "Unloadable",
    "Unready",
    "make_catalog",
]
