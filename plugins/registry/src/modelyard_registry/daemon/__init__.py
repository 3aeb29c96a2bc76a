"""The registry record `docker-daemon`: the images that the Docker daemon of this machine has, or can pull.

Here live that record, the archive that the daemon loads, and the spool where an image lies in
pieces once somebody has asked for it. docker-py is imported by `connection` alone, once a daemon is asked.
Imports `layout` (the spool is one), the package's own values and modelyard's public names only.
"""

from modelyard_registry.daemon.registry import DockerDaemonRegistry

__all__ = ["DockerDaemonRegistry"]
