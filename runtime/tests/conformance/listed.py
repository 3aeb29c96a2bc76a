"""Every difference from v1 that we mean; docs/reference/differences-from-v1.md shows this table.

There is none with `compat: strict-v1`.
"""

from __future__ import annotations

from runtime.tests.conformance import listed_inputs, listed_outputs, listed_services
from runtime.tests.conformance.differences import Listed, Topic

TOPICS: tuple[Topic, ...] = (*listed_services.TOPICS, *listed_inputs.TOPICS, *listed_outputs.TOPICS)
DIFFERENCES: tuple[Listed, ...] = tuple(entry for topic in TOPICS for entry in topic.differences)
