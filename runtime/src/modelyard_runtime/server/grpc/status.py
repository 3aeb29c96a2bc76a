"""How a call ended: `grpc-status`, `grpc-message` and google.rpc details, as headers. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from urllib.parse import quote

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from modelyard_runtime.server.grpc.messages import status_pb2 as pb
from modelyard_runtime.server.problems import INVALID_ARGUMENT, Problem

DOMAIN = "modelyard"
"""ErrorInfo's domain: who gives the reasons their meaning."""
SUCCESS = [(b"grpc-status", b"0")]
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_MAX_MESSAGE = 1024
"""Headers have limits on every hop."""


def trailers(problem: Problem) -> list[tuple[bytes, bytes]]:
    """Return the trailers that tell a client about a problem."""
    return [
        (b"grpc-status", b"%d" % problem.grpc_status),
        (b"grpc-message", quote(str(problem)[:_MAX_MESSAGE], safe=_PLAIN).encode()),
        (b"grpc-status-details-bin", b64encode(_details(problem)).rstrip(b"=")),
    ]


@lru_cache(maxsize=64)
def reason(code: str) -> str:
    """Write a problem's code as ErrorInfo's reason: `BadRequest` is `BAD_REQUEST`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code).upper()


def _details(problem: Problem) -> bytes:
    text = str(problem)[:_MAX_MESSAGE]
    details: list[tuple[str, Message]] = [
        ("ErrorInfo", pb.ErrorInfo(reason=reason(problem.code), domain=DOMAIN))
    ]
    if problem.grpc_status == INVALID_ARGUMENT and problem.place:
        violation = pb.BadRequest.FieldViolation(field=problem.place, description=text)
        details.append(("BadRequest", pb.BadRequest(field_violations=[violation])))
    if problem.retry_after_s:
        delay = Duration(seconds=problem.retry_after_s)
        details.append(("RetryInfo", pb.RetryInfo(retry_delay=delay)))
    packed = [
        Packed(type_url=f"type.googleapis.com/google.rpc.{name}", value=detail.SerializeToString())
        for name, detail in details
    ]
    return pb.Status(code=problem.grpc_status, message=text, details=packed).SerializeToString()
