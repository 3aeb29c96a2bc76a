"""Replicas as processes of this machine, each under a parent of its own.

Lives here: their folders, in which all is written down that there is to know of them.
"""

from modelyard.targets.process.target import ProcessTarget

__all__ = ["ProcessTarget"]
