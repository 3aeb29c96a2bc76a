"""Logs: structlog and the standard library's logging as one stream of JSON lines, secrets taken out.

Never here: what is worth logging. Imports api alone; the one room that imports structlog.
"""

from modelyard.telemetry.logs import LogSettings, configure, get_logger
from modelyard.telemetry.redaction import redact

__all__ = ["LogSettings", "configure", "get_logger", "redact"]
