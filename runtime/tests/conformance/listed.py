"""Every difference from v1 that we mean; docs/reference/differences-from-v1.md shows this table."""

from __future__ import annotations

from runtime.tests.conformance.differences import Topic

TOPICS: tuple[Topic, ...] = ()
DIFFERENCES = tuple(entry for topic in TOPICS for entry in topic.differences)
