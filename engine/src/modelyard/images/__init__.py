"""Container images: assembled in layers straight into a registry, without a daemon and without root.

Lives here: what a base holds, layers that are the same for the same content, configurations, keys of images,
finding an image before building it, the images of environments and of services. Never here: solving
environments, running anything, deciding when.
May import `environments`, `processes` and `api`.
"""

from modelyard.images.arranging import Desk, Ground, ImageArrangement, arrange_image
from modelyard.images.assembling import assemble
from modelyard.images.base_pythons import BaseFacts, facts_of
from modelyard.images.bases import find_base
from modelyard.images.descriptions import (
    KEY,
    CondaFacts,
    Inside,
    conda_of,
    describe,
    environments_of,
    inputs_of,
)
from modelyard.images.environments import Assembler
from modelyard.images.images import Addition, Base, Image, Part, Repository, Start
from modelyard.images.keys import Inputs, conda_key, image_lock_key, image_spec_key, steps_key, why
from modelyard.images.lookup import (
    BASE_IMAGES,
    CONDA_IMAGES,
    ENVIRONMENT_IMAGES,
    WORK,
    Found,
    Shelves,
    find_image,
    find_or_build,
)
from modelyard.images.memos import FolderMemo, LayerMemo
from modelyard.images.places import APPLICATION, CODE, CONDA, ENVIRONMENT, SCRIPT_ENVIRONMENT
from modelyard.images.platforms import platform_of
from modelyard.images.references import Located, Reference, locate, parse_reference
from modelyard.images.services import SERVICES, ServiceParts, Workshop, build_service
from modelyard.images.trees import list_files, list_tree

__all__ = [
    "APPLICATION",
    "BASE_IMAGES",
    "CODE",
    "CONDA",
    "CONDA_IMAGES",
    "ENVIRONMENT",
    "ENVIRONMENT_IMAGES",
    "KEY",
    "SCRIPT_ENVIRONMENT",
    "SERVICES",
    "WORK",
    "Addition",
    "Assembler",
    "Base",
    "BaseFacts",
    "CondaFacts",
    "Desk",
    "FolderMemo",
    "Found",
    "Ground",
    "Image",
    "ImageArrangement",
    "Inputs",
    "Inside",
    "LayerMemo",
    "Located",
    "Part",
    "Reference",
    "Repository",
    "ServiceParts",
    "Shelves",
    "Start",
    "Workshop",
    "arrange_image",
    "assemble",
    "build_service",
    "conda_key",
    "conda_of",
    "describe",
    "environments_of",
    "facts_of",
    "find_base",
    "find_image",
    "find_or_build",
    "image_lock_key",
    "image_spec_key",
    "inputs_of",
    "list_files",
    "list_tree",
    "locate",
    "parse_reference",
    "platform_of",
    "steps_key",
    "why",
]
