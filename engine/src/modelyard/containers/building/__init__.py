"""Building in a Docker daemon: images in and out as streams, and the daemon's own builder with its log.

Lives here: one build through the API, what a build's log says.
Never here: what is built, where it goes. May import `api`. Everything blocks: callers use threads.
"""

from modelyard.containers.building.classic import Build, build_classic
from modelyard.containers.building.daemon import BuildDaemon, is_full
from modelyard.containers.building.logs import BuildKitLog, ClassicLog, Failure, Log
from modelyard.containers.building.stopping import Stop, Stopped

__all__ = [
    "Build",
    "BuildDaemon",
    "BuildKitLog",
    "ClassicLog",
    "Failure",
    "Log",
    "Stop",
    "Stopped",
    "build_classic",
    "is_full",
]
