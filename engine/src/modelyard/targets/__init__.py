"""Targets of the engine itself: where replicas live. In this release: processes of this machine.

Lives here: starting, finding, draining and removing replicas, and telling what is seen of them.
Never here: how many there should be, routing, building what they run.
May import `environments`, `processes` and `api`, and the runtime's start contract.
"""

from modelyard.targets.process import ProcessTarget

__all__ = ["ProcessTarget"]
