"""How anything talks to a running engine: the `Client`, what it sends and how a controller is started.

Never here: a decision about services, an import of the controller or of a plugin.
Imports api, spec, processes and telemetry; httpx, cattrs and grpc only where they are used.
`wire` is the one place that turns api values into JSON and back; the management room uses it too.
"""

from modelyard.client.client import Client
from modelyard.client.scoring import InferAnswer, ScoreAnswer
from modelyard.client.startup import report, start_controller
from modelyard.client.tensors import Tensor

__all__ = ["Client", "InferAnswer", "ScoreAnswer", "Tensor", "report", "start_controller"]
