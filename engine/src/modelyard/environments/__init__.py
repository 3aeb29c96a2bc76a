"""Python environments: solved once into a lock, built once into a folder, shared by key.

Lives here: finding an interpreter, keys, locks, calling uv, the cache of environments, which of them a
script gets, the trees that an image will hold. Never here: what a service is, images themselves.
May import `processes` and `api`.
"""

from modelyard.environments.arranging import Arrangement, Shelf, arrange, build, is_built
from modelyard.environments.bases import check_base
from modelyard.environments.building import cached, ensure
from modelyard.environments.conda import (
    CondaLock,
    CondaPackage,
    CondaPlatform,
    CondaSettings,
    CondaSpec,
    conda_platform,
    lay_out_conda,
    parse_conda_lock,
    pip_constraints,
    python_of,
    read_settings,
    solve_conda,
)
from modelyard.environments.contents import Package, list_installed, list_packages
from modelyard.environments.for_bases import no_lock, recorded_lock, solve_for_base
from modelyard.environments.interpreters import Interpreter, find_interpreter
from modelyard.environments.keys import (
    asked,
    canonical,
    changes,
    digest,
    explain_miss,
    locked,
    normalised,
    normalised_conda,
    spec_key,
)
from modelyard.environments.laying_out import lay_out
from modelyard.environments.locks import Lock, lock_of, make_lock, parse_pins
from modelyard.environments.pins import Pin, read_pins
from modelyard.environments.preinstalled import Preinstalled
from modelyard.environments.records import LockRecords, RegistryLockRecords
from modelyard.environments.solving import Asked, solve
from modelyard.environments.wheels import RuntimeWheel, bundled_runtime

__all__ = [
    "Arrangement",
    "Asked",
    "CondaLock",
    "CondaPackage",
    "CondaPlatform",
    "CondaSettings",
    "CondaSpec",
    "Interpreter",
    "Lock",
    "LockRecords",
    "Package",
    "Pin",
    "Preinstalled",
    "RegistryLockRecords",
    "RuntimeWheel",
    "Shelf",
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
    "find_interpreter",
    "is_built",
    "lay_out",
    "lay_out_conda",
    "list_installed",
    "list_packages",
    "lock_of",
    "locked",
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
    "recorded_lock",
    "solve",
    "solve_conda",
    "solve_for_base",
    "spec_key",
]
