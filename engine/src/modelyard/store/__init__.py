"""What the engine must not forget: services, revisions, operations, grants, scaling decisions, keys.

SQLite in one file, one writer thread, every change one transaction; clear keys in files of their own.
Never here: decisions, plugins, processes. May import `api` and `processes` (files and folders).
"""

from modelyard.store.keys import KeyStore
from modelyard.store.records import GrantRecord, OperationRecord, RevisionRecord, ServiceRecord
from modelyard.store.store import Content, Store

__all__ = [
    "Content",
    "GrantRecord",
    "KeyStore",
    "OperationRecord",
    "RevisionRecord",
    "ServiceRecord",
    "Store",
]
