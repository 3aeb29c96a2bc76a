"""Container images: assembled in layers straight into a registry, without a daemon and without root.

Lives here: layers that are the same for the same content. Never here: solving environments, running
anything, what a service is. May import `processes` and `api`.
"""

from modelyard.images.platforms import platform_of
from modelyard.images.trees import list_files, list_tree

__all__ = ["list_files", "list_tree", "platform_of"]
