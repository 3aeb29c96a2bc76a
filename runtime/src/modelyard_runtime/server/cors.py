"""Which browser origins may call, and what they are told. Pure."""

from __future__ import annotations

from collections.abc import Mapping

HeaderPairs = list[tuple[bytes, bytes]]

METHODS = b"GET, POST"
ASKED_METHOD = b"access-control-request-method"
"""An OPTIONS with this header is a browser's question."""
_MAX_AGE_S = b"600"


class Cors:
    """The origins a service lists; "*" = any. v1's rule: a listed origin is echoed, others get no header."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origin.encode("latin-1", "replace") for origin in origins)
        self._any = b"*" in self._origins
        self.anybody: HeaderPairs = [(b"access-control-allow-origin", b"*")] if self._any else []
        """What an answer to nobody's origin carries."""

    def allows(self, origin: bytes) -> bool:
        """Whether this origin may read answers."""
        return self._any or origin in self._origins

    def headers(self, origin: bytes | None) -> HeaderPairs:
        """Return what an answer to this origin carries."""
        if origin is None or not self.allows(origin):
            return []
        return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]

    def preflight(self, sent: Mapping[bytes, bytes]) -> HeaderPairs:
        """Return what the answer to a browser's question before its request carries beside `headers`."""
        origin = sent.get(b"origin")
        if ASKED_METHOD not in sent or origin is None or not self.allows(origin):
            return []
        allowed = [(b"access-control-allow-methods", METHODS), (b"access-control-max-age", _MAX_AGE_S)]
        if asked_headers := sent.get(b"access-control-request-headers"):
            allowed.append((b"access-control-allow-headers", asked_headers))
        return allowed
