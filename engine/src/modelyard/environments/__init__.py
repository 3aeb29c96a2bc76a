"""Python environments: solved once into a lock, built once into a folder, shared by key.

Lives here: finding an interpreter, keys, locks, calling uv, the cache of environments, which of them a
script gets, the tree that an image will hold. Never here: what a service is, images themselves, conda.
May import `processes` and `api`.
"""

from modelyard.environments.arranging import Arrangement, Shelf, arrange, build, is_built, server_lock
from modelyard.environments.bases import check_base
from modelyard.environments.building import cached, ensure
from modelyard.environments.drafts import Drafts, Noted
from modelyard.environments.for_bases import recorded_lock, solve_for_base
from modelyard.environments.interpreters import Interpreter, find_interpreter
from modelyard.environments.keys import (
    canonical,
    changes,
    digest,
    explain_miss,
    explain_nearest,
    normalised,
    spec_key,
)
from modelyard.environments.laying_out import lay_out
from modelyard.environments.locks import Lock, lock_of, make_lock, parse_pins
from modelyard.environments.records import REPOSITORY as LOCKS
from modelyard.environments.records import LockRecords, RegistryLockRecords
from modelyard.environments.solving import NoLock, no_lock, solve
from modelyard.environments.wheels import RuntimeWheel, bundled_runtime

__all__ = [
    "LOCKS",
    "Arrangement",
    "Drafts",
    "Interpreter",
    "Lock",
    "LockRecords",
    "NoLock",
    "Noted",
    "RegistryLockRecords",
    "RuntimeWheel",
    "Shelf",
    "arrange",
    "build",
    "bundled_runtime",
    "cached",
    "canonical",
    "changes",
    "check_base",
    "digest",
    "ensure",
    "explain_miss",
    "explain_nearest",
    "find_interpreter",
    "is_built",
    "lay_out",
    "lock_of",
    "make_lock",
    "no_lock",
    "normalised",
    "parse_pins",
    "recorded_lock",
    "server_lock",
    "solve",
    "solve_for_base",
    "spec_key",
]
