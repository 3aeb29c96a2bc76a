"""Scoring: the user's entry script, loaded, called and its answers encoded.

What lives here: loading the script and naming what is wrong with it, `init()` and `run()`, JSON in and
out, the worker threads that model code runs on. Never HTTP, gRPC or the event loop's own work.
This room may import `modelyard_runtime.oip` alone.
"""

from modelyard_runtime.scoring.encoding import NotSerialisable, decode_query, encode, outputs_of, tensor_text
from modelyard_runtime.scoring.script import Script, ScriptError, explain, load
from modelyard_runtime.scoring.workers import Workers

__all__ = [
    "NotSerialisable",
    "Script",
    "ScriptError",
    "Workers",
    "decode_query",
    "encode",
    "explain",
    "load",
    "outputs_of",
    "tensor_text",
]
