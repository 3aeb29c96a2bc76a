"""What v1's server said beside a script's answers, for `compat: strict-v1`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelyard_runtime.contract import StartContract
from modelyard_runtime.server.cors import ASKED_METHOD, METHODS, HeaderPairs

NO_SUCH_PATH = (
    "The requested URL was not found on the server. If you entered the URL manually please check your"
    " spelling and try again."
)
"""v1's sentence for a path that it did not have."""
_NAME = (b"x-ms-server-version", b"azmlinfsrv/1.5.1")
_NAMED = "SERVER_VERSION_LOG_RESPONSE_ENABLED"
"""v1's variable: anything but `true` took its name off."""


def name(contract: StartContract) -> HeaderPairs:
    """Return the server's name as v1 told it; nothing where the service's variables turn it off."""
    return [_NAME] if contract.variables.get(_NAMED, "true").lower() == "true" else []


class CorsAsV1:
    """What flask-cors said for v1: origins in any case, the first one of the list to callers that sent none."""

    def __init__(self, origins: Iterable[str]) -> None:
        listed = sorted(origin.encode("latin-1", "replace") for origin in origins)
        self._known = frozenset(origin.lower() for origin in listed)
        self._any = b"*" in self._known
        self._vary: HeaderPairs = [(b"vary", b"Origin")] if self._any or len(listed) > 1 else []
        self.anybody: HeaderPairs = []
        """What an answer to nobody's origin carries."""
        if self._any:
            self.anybody = [(b"access-control-allow-origin", b"*")]
        elif listed:
            self.anybody = [(b"access-control-allow-origin", listed[0]), *self._vary]

    def headers(self, sent: Mapping[bytes, bytes], method: str) -> HeaderPairs:
        """Return what an answer carries; v1 took every OPTIONS for a browser's question, whoever answered it."""
        origin = sent.get(b"origin")
        if origin and not self._any and origin.lower() not in self._known:
            return []
        told = [(b"access-control-allow-origin", origin), *self._vary] if origin else [*self.anybody]
        if told and method == "OPTIONS":
            told += _preflight(sent)
        return told


def _preflight(sent: Mapping[bytes, bytes]) -> HeaderPairs:
    asked = sent.get(ASKED_METHOD, b"").upper()
    if not asked or asked not in METHODS:
        return []
    headers = b", ".join(sorted(map(bytes.strip, sent.get(_ASKED_HEADERS, b"").split(b","))))
    allowed = [(b"access-control-allow-headers", headers)] if headers else []
    return [*allowed, (b"access-control-allow-methods", METHODS)]


_ASKED_HEADERS = b"access-control-request-headers"
