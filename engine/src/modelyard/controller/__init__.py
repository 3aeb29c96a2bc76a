"""The controller: plans, rolls out, reconciles, scales, drains; the only caller of hooks.

Every change is a record in the store before it is an act, so that a controller killed anywhere is
followed by one that goes on. Never here: decisions (`control`), REST, foreign libraries.
May import everything below: `host`, `spec`, `control`, `store`, `router`, `packaging`, ...
"""

from modelyard.controller.controller import Controller
from modelyard.controller.ports import Artifacts, Built, Inspection, Kept, Parts, Router, Xds

__all__ = ["Artifacts", "Built", "Controller", "Inspection", "Kept", "Parts", "Router", "Xds"]
