"""Python environments: solved once into a lock, built once into a folder, shared by key.

Lives here: finding an interpreter, keys, locks, calling uv, the cache of environments, which of them a
script gets, the trees that an image will hold. Never here: what a service is, images themselves.
May import `processes` and `api`.
"""

from modelyard.environments.arranging import Arrangement, Shelf, arrange, build, is_built, server_lock
from modelyard.environments.bases import check_base, why_not_serving
from modelyard.environments.building import cached, ensure
from modelyard.environments.conda import (
    CondaLock,
    CondaPackage,
    CondaPlatform,
    CondaSettings,
    CondaSpec,
    conda_platform,
    lay_out_conda,
    locked_python,
    parse_conda_lock,
    pip_constraints,
    python_of,
    read_settings,
    solve_conda,
)
from modelyard.environments.contents import Package, list_installed, list_packages
from modelyard.environments.distributions import (
    Gathered,
    WheelFile,
    gather_folder,
    gather_installed,
    read_wheel,
    requirements_of,
)
from modelyard.environments.drafts import Drafts, Noted
from modelyard.environments.for_bases import recorded_lock, solve_for_base
from modelyard.environments.interpreters import OLDEST_SERVER, Interpreter, find_interpreter
from modelyard.environments.keys import (
    asked,
    canonical,
    changes,
    digest,
    explain_miss,
    explain_nearest,
    locked,
    normalised,
    normalised_conda,
    spec_key,
)
from modelyard.environments.laying_out import lay_out
from modelyard.environments.locks import Lock, lock_of, make_lock, parse_pins
from modelyard.environments.pins import Pin, read_pins
from modelyard.environments.preinstalled import Preinstalled
from modelyard.environments.records import REPOSITORY as LOCKS
from modelyard.environments.records import LockRecords, LockTexts, RegistryLockRecords
from modelyard.environments.solving import Asked, NoLock, no_lock, solve
from modelyard.environments.wheels import RuntimeWheel, bundled_runtime

__all__ = [
    "LOCKS",
    "OLDEST_SERVER",
    "Arrangement",
    "Asked",
    "CondaLock",
    "CondaPackage",
    "CondaPlatform",
    "CondaSettings",
    "CondaSpec",
    "Drafts",
    "Gathered",
    "Interpreter",
    "Lock",
    "LockRecords",
    "LockTexts",
    "NoLock",
    "Noted",
    "Package",
    "Pin",
    "Preinstalled",
    "RegistryLockRecords",
    "RuntimeWheel",
    "Shelf",
    "WheelFile",
    "arrange",
    "asked",
    "build",
    "bundled_runtime",
    "cached",
    "canonical",
    "changes",
    "check_base",
    "conda_platform",
    "digest",
    "ensure",
    "explain_miss",
    "explain_nearest",
    "find_interpreter",
    "gather_folder",
    "gather_installed",
    "is_built",
    "lay_out",
    "lay_out_conda",
    "list_installed",
    "list_packages",
    "lock_of",
    "locked",
    "locked_python",
    "make_lock",
    "no_lock",
    "normalised",
    "normalised_conda",
    "parse_conda_lock",
    "parse_pins",
    "pip_constraints",
    "python_of",
    "read_pins",
    "read_settings",
    "read_wheel",
    "recorded_lock",
    "requirements_of",
    "server_lock",
    "solve",
    "solve_conda",
    "solve_for_base",
    "spec_key",
    "why_not_serving",
]
