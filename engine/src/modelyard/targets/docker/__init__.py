"""Replicas as containers of this machine's Docker daemon, on a network of their own.

Lives here: what a replica's container is made of, bringing its image, telling what is seen of it. Everything is
written down in the containers' labels; beside them lies only the engine's own name.
"""

from modelyard.targets.docker.target import DockerTarget

__all__ = ["DockerTarget"]
