"""Write docs/reference/differences-from-v1.md from the list: `python -m runtime.tests.conformance.page`."""

from __future__ import annotations

from pathlib import Path

from runtime.tests.conformance.differences import STRICT, Topic
from runtime.tests.conformance.listed import TOPICS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "differences-from-v1.md"
_HEAD = """# Differences from v1

Every request of a table of several hundred is sent to a replica, and its answer compared, field by field, with what
`azureml-inference-server-http` 1.5.1 answered. This is the whole list of what differs, and a test fails for any other.
With `compat: strict-v1` in `engine.yaml` the rows marked *default only* answer as v1 did.

| what | v1 | here | why | with `strict-v1` |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the page's text."""
    return _HEAD + "".join(map(_row, TOPICS))


def _row(topic: Topic) -> str:
    strict = [STRICT in entry.modes for entry in topic.differences]
    rest = "differs too" if all(strict) else "differs in part" if any(strict) else "default only"
    return f"| {topic.title} | {topic.v1} | {topic.ours} | {topic.why} | {rest} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
