"""Digests that are known already: a file that did not change since is not read again."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_CAPACITY = 100_000
_SETTLED_NS = 2_000_000_000
"""A file as fresh as this may change again within one tick of its file system's clock, unseen (git's racy files)."""

Identity = tuple[int, int, int, int, int]


class Digests:
    """Remembers by device, inode, size and times; forgets the least recently used."""

    def __init__(self, *, capacity: int = _CAPACITY, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._capacity = capacity
        self._clock_ns = clock_ns
        self._known: OrderedDict[Identity, str] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, facts: os.stat_result) -> str | None:
        """Return the digest of a file that is what it was; None when that is not known."""
        with self._lock:
            found = self._known.get(identity(facts))
            if found is not None:
                self._known.move_to_end(identity(facts))
            return found

    def keep(self, facts: os.stat_result, digest: str) -> None:
        """Remember a digest, `facts` as they were when the file was read."""
        if self._clock_ns() - max(facts.st_mtime_ns, facts.st_ctime_ns) < _SETTLED_NS:
            return
        with self._lock:
            self._known[identity(facts)] = digest
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)


def identity(facts: os.stat_result) -> Identity:
    """Say which content a file has, as far as its file system tells; no program can set `st_ctime`."""
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
