"""Container images: assembled in layers straight into a registry, without a daemon and without root.

`dockerfiles` has docker steps built in a daemon and stores what comes of them.

Lives here: what a base holds, layers that are the same for the same content, configurations, keys of images,
finding an image before building it, the images of environments and of services. Never here: solving
environments, running anything, deciding when.
May import `environments`, `packaging`, `containers`, `processes` and `api`.
"""

from modelyard.images.arranging import Desk, Ground, ImageArrangement, arrange_image
from modelyard.images.assembling import assemble
from modelyard.images.base_pythons import BaseFacts, facts_of
from modelyard.images.bases import KnownBases, find_base
from modelyard.images.billing import bill_upon, package_of
from modelyard.images.configs import parts_of
from modelyard.images.copies import copies_files
from modelyard.images.copying import Moved, copy_image
from modelyard.images.descriptions import (
    KEY,
    CondaFacts,
    Inside,
    below_of,
    conda_of,
    describe,
    describe_base,
    environments_of,
    inputs_of,
    key_of,
)
from modelyard.images.engines import ENGINES, EngineParts, build_engine
from modelyard.images.environments import Assembler
from modelyard.images.images import Addition, Base, Image, Part, Repository, Start
from modelyard.images.kept_locks import copy_locks, count_packages, keep_locks, kept_locks
from modelyard.images.keys import (
    Inputs,
    conda_key,
    dockerfile_key,
    image_lock_key,
    image_spec_key,
    steps_key,
    why,
)
from modelyard.images.leases import Leases
from modelyard.images.lookup import (
    BASE_IMAGES,
    ENVIRONMENT_IMAGES,
    Found,
    Shelves,
    find_image,
    find_or_build,
    key_lock,
    working,
)
from modelyard.images.memos import FolderMemo, LayerMemo
from modelyard.images.packing import UnderWay
from modelyard.images.places import APPLICATION, CODE, CONDA, ENGINE, ENVIRONMENT, SCRIPT_ENVIRONMENT
from modelyard.images.platforms import platform_of
from modelyard.images.pythons import choose_python
from modelyard.images.reading import Seen, read_image
from modelyard.images.references import DAEMON, Located, Reference, locate, parse_reference
from modelyard.images.servers import check_servers
from modelyard.images.services import (
    SERVICES,
    ServiceParts,
    Workshop,
    build_service,
    prepare_service,
    send_code,
    store_models,
)
from modelyard.images.trees import list_files, list_tree

__all__ = [
    "APPLICATION",
    "BASE_IMAGES",
    "CODE",
    "CONDA",
    "DAEMON",
    "ENGINE",
    "ENGINES",
    "ENVIRONMENT",
    "ENVIRONMENT_IMAGES",
    "KEY",
    "SCRIPT_ENVIRONMENT",
    "SERVICES",
    "Addition",
    "Assembler",
    "Base",
    "BaseFacts",
    "CondaFacts",
    "Desk",
    "EngineParts",
    "FolderMemo",
    "Found",
    "Ground",
    "Image",
    "ImageArrangement",
    "Inputs",
    "Inside",
    "KnownBases",
    "LayerMemo",
    "Leases",
    "Located",
    "Moved",
    "Part",
    "Reference",
    "Repository",
    "Seen",
    "ServiceParts",
    "Shelves",
    "Start",
    "UnderWay",
    "Workshop",
    "arrange_image",
    "assemble",
    "below_of",
    "bill_upon",
    "build_engine",
    "build_service",
    "check_servers",
    "choose_python",
    "conda_key",
    "conda_of",
    "copies_files",
    "copy_image",
    "copy_locks",
    "count_packages",
    "describe",
    "describe_base",
    "dockerfile_key",
    "environments_of",
    "facts_of",
    "find_base",
    "find_image",
    "find_or_build",
    "image_lock_key",
    "image_spec_key",
    "inputs_of",
    "keep_locks",
    "kept_locks",
    "key_lock",
    "key_of",
    "list_files",
    "list_tree",
    "locate",
    "package_of",
    "parse_reference",
    "parts_of",
    "platform_of",
    "prepare_service",
    "read_image",
    "send_code",
    "steps_key",
    "store_models",
    "why",
    "working",
]
