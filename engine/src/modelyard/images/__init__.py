"""Container images: assembled in layers straight into a registry, without a daemon and without root.

`dockerfiles` has docker steps built in a daemon and stores what comes of them.

Lives here: layers that are the same for the same content, configurations, keys of images, finding an image
before building it. Never here: solving environments, running anything, what a service is.
May import `environments`, `packaging`, `containers`, `processes` and `api`.
"""

from modelyard.images.assembling import assemble
from modelyard.images.bases import find_base
from modelyard.images.images import Addition, Base, Image, Part, Repository, Start
from modelyard.images.keys import Inputs, image_lock_key, image_spec_key, why
from modelyard.images.lookup import Found, Shelves, find_image, find_or_build
from modelyard.images.platforms import platform_of
from modelyard.images.trees import list_files, list_tree

__all__ = [
    "Addition",
    "Base",
    "Found",
    "Image",
    "Inputs",
    "Part",
    "Repository",
    "Shelves",
    "Start",
    "assemble",
    "find_base",
    "find_image",
    "find_or_build",
    "image_lock_key",
    "image_spec_key",
    "list_files",
    "list_tree",
    "platform_of",
    "why",
]
