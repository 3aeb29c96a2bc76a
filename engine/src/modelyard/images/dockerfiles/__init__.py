"""Images from docker steps and Dockerfiles: built in a Docker daemon, stored in the workspace's registry.

Lives here: reading and writing Dockerfiles, packing their context, the record `docker` that has them built,
what of the result goes to the registry. Never here: docker-py, which is `containers`' own.
May import the rest of `images`, `containers`, `packaging`, `processes` and `api`.
"""

from modelyard.images.dockerfiles.builder import DockerImageBuilder
from modelyard.images.dockerfiles.steps import takes_from_images

__all__ = ["DockerImageBuilder", "takes_from_images"]
