"""Write docs/reference/differences-from-v1.md from the list: `python -m runtime.tests.conformance.page`."""

from __future__ import annotations

from pathlib import Path

from runtime.tests.conformance.differences import Topic
from runtime.tests.conformance.listed import TOPICS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "differences-from-v1.md"
_HEAD = """# Differences from v1

Every request of a table of several hundred is sent to a replica, and its answer compared, field by field, with what
`azureml-inference-server-http` 1.5.1 answered. This is the whole list of what differs, and a test fails for any other.

With `compat: strict-v1` in `engine.yaml` nothing of it does: each of these requests is answered as v1 answered it,
down to the server's name, which `SERVER_VERSION_LOG_RESPONSE_ENABLED: "false"` among the service's variables takes
off as in v1.
What v1 did not have stays as it is in both: `/v2`, gRPC, generators and `async` functions, `infer()`, `run_batch()`,
and the answers of a queue that is full or of a replica that is not ready.
What gunicorn refused before v1 saw it (request lines over 4,094 bytes, header fields over 8,190, what is no HTTP) is
not compared.

| what | v1 and `strict-v1` | here | why |
|---|---|---|---|
"""


def page() -> str:
    """Return the page's text."""
    return _HEAD + "".join(map(_row, TOPICS))


def _row(topic: Topic) -> str:
    return f"| {topic.title} | {topic.v1} | {topic.ours} | {topic.why} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
