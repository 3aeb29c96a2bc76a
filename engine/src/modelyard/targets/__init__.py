"""Targets of the engine itself: where replicas live.

Lives here: starting, finding, draining and removing replicas, and telling what is seen of them. `process` has
them as processes of this machine, `docker` as containers of its daemon; beside the two lies what both need.
Never here: how many there should be, routing, building what they run.
May import `environments`, `control`, `processes`, `containers` and `api`, and the runtime's start contract.
"""

from modelyard.targets.docker import DockerTarget
from modelyard.targets.process import ProcessTarget

__all__ = ["DockerTarget", "ProcessTarget"]
