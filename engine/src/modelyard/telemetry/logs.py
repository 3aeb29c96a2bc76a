"""Set logging up once a process: JSON lines to a rotating file, to a stream, or to both.

Loggers of the standard library go through the same processors, so libraries' lines are redacted too.
"""

from __future__ import annotations

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import attrs
import structlog
from structlog.typing import EventDict, WrappedLogger

from modelyard.telemetry.redaction import redact

_NOT_TEXT = frozenset({"exc_info", "stack_info"})
"""Formatted later, by whoever writes the line, and redacted then."""


@attrs.frozen(kw_only=True)
class LogSettings:
    """Lines go to a file, which keeps `files` predecessors of `max_bytes` each, to a stream, or both; none = stderr."""

    file: Path | None = None
    stream: TextIO | None = None
    level: str = "INFO"
    max_bytes: int = 16_000_000
    files: int = 4


def configure(settings: LogSettings) -> None:
    """Send every log line of this process where `settings` say; may be called again."""
    handlers = _handlers(settings)
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):  # ours, from an earlier call
            root.removeHandler(old)
            old.close()
    for handler in handlers:
        handler.setFormatter(_formatter())
        root.addHandler(handler)
    root.setLevel(settings.level)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Give a structured logger: `get_logger("modelyard.daemon").info("scaled", service=name, wanted=3)`.

    It writes ordinary records of the standard library, so a program that embeds the engine and never
    calls `configure` gets them where it wants its own, redacted all the same.
    """
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            _redacted,
            structlog.stdlib.render_to_log_kwargs,
        ],
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return logger


def _formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redacted,
            structlog.processors.JSONRenderer(sort_keys=True, default=repr),
        ],
    )


def _shared() -> list[structlog.typing.Processor]:
    return [
        structlog.stdlib.ExtraAdder(),
        _without_leftovers,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]


def _without_leftovers(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop what another handler's formatter left on the record: the event says it already."""
    return {key: value for key, value in event.items() if key not in {"message", "asctime"}}


def _handlers(settings: LogSettings) -> list[logging.Handler]:
    if settings.file is None:
        return [logging.StreamHandler(settings.stream or sys.stderr)]
    settings.file.parent.mkdir(parents=True, exist_ok=True)
    file = _PrivateFileHandler(
        settings.file, maxBytes=settings.max_bytes, backupCount=settings.files, encoding="utf-8"
    )
    return [file, logging.StreamHandler(settings.stream)] if settings.stream else [file]


class _PrivateFileHandler(RotatingFileHandler):
    def _open(self) -> Any:
        # What services are called and how they fail is nobody else's business.
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(descriptor, self.mode, encoding=self.encoding)


def _redacted(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: value if key in _NOT_TEXT else redact(value, name=key) for key, value in event.items()}
