"""Request and response for environments without Flask: the part of its surface that scoring scripts use."""

from __future__ import annotations

import io
import json
from http.cookies import CookieError, SimpleCookie
from typing import Any, Dict, Iterable, Iterator, Mapping

from ..failures import BadInput
from ..headers import readable
from ..requests import ScoreRequest
from .forms import MULTIPART, URL_ENCODED, MultiDict, multipart, query_of

_BAD_JSON = "The browser (or proxy) sent a request that this server could not understand."
FAILED_HEADER = "x-ms-run-function-failed"


class Headers(Mapping[str, str]):
    """Header values by name, in any case."""

    def __init__(self, named: Dict[str, str]) -> None:
        self._named = named
        self._lower = {name.lower(): name for name in named}

    def __getitem__(self, name: str) -> str:
        return self._named[self._lower[name.lower()]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._lower


class AMLRequest:
    """One HTTP request, as a script decorated with `@rawhttp` gets it."""

    def __init__(self, request: ScoreRequest) -> None:
        self.method = request.method
        self.path = request.path
        self.query_string = request.query
        self.headers = Headers(readable(request.headers))
        self.remote_addr = self.headers.get("X-Forwarded-For", "127.0.0.1").partition(",")[0].strip()
        self.content_type = self.headers.get("Content-Type")
        self.mimetype = (self.content_type or "").partition(";")[0].strip().lower()
        self.data = bytes(request.body)
        self.stream = io.BytesIO(self.data)
        self.args = query_of(request.query)
        self._forms: tuple[MultiDict, MultiDict] | None = None

    @property
    def full_path(self) -> str:
        """The path with its query."""
        return f"{self.path}?{self.query_string.decode('latin-1')}"

    @property
    def host(self) -> str:
        """The host that was asked."""
        return self.headers.get("Host", "localhost")

    @property
    def url(self) -> str:
        """The whole address."""
        return self.base_url + (f"?{self.query_string.decode('latin-1')}" if self.query_string else "")

    @property
    def base_url(self) -> str:
        """The address without its query."""
        return f"{self.headers.get('X-Forwarded-Proto', 'http')}://{self.host}{self.path}"

    @property
    def content_length(self) -> int | None:
        """How many bytes the body has; None for a GET without one."""
        return len(self.data) if self.data or self.method not in ("GET", "OPTIONS") else None

    @property
    def is_json(self) -> bool:
        """Whether the content type says JSON."""
        kind = self.mimetype
        return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))

    @property
    def form(self) -> MultiDict:
        """The fields of a form."""
        return self._parts()[0]

    @property
    def files(self) -> MultiDict:
        """The files of a form."""
        return self._parts()[1]

    @property
    def values(self) -> MultiDict:
        """Query and form together."""
        sources = (self.args, self.form)
        return MultiDict(
            (name, value) for source in sources for name in source for value in source.getlist(name)
        )

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that came."""
        try:
            return {
                name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()
            }
        except CookieError:
            return {}

    @property
    def json(self) -> Any:
        """The body as JSON. Raises `BadInput`."""
        return self.get_json()

    def get_data(self, cache: bool = True, as_text: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002  # Flask's signature
        """Return the body, as bytes or as text."""
        return self.data.decode("utf-8", "replace") if as_text else self.data

    def get_json(self, force: bool = False, silent: bool = False) -> Any:  # noqa: FBT001, FBT002  # Flask's signature
        """Return the body as JSON; `silent`: None where it is none. Raises `BadInput`, as Flask would."""
        if not force and not self.is_json:
            if silent:
                return None
            raise BadInput(
                "Did not attempt to load JSON data because the request Content-Type was not"
                " 'application/json'.",
                status=415,
            )
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            if silent:
                return None
            raise BadInput(_BAD_JSON) from None

    def _parts(self) -> tuple[MultiDict, MultiDict]:
        if self._forms is None:
            if self.mimetype == MULTIPART:
                self._forms = multipart(self.data, self.content_type or "")
            elif self.mimetype == URL_ENCODED:
                self._forms = query_of(self.data), MultiDict()
            else:
                self._forms = MultiDict(), MultiDict()
        return self._forms


class AMLResponse:
    """An HTTP answer: a status, headers, and a body of text, bytes or pieces of either."""

    def __init__(
        self,
        message: Any,
        status_code: Any,
        response_headers: Mapping[str, str] = {},
        json_str: bool = False,  # noqa: FBT001, FBT002  # v1's signature
        run_function_failed: bool = False,  # noqa: FBT001, FBT002  # the same
    ) -> None:
        self.status_code = int(str(status_code).split()[0])
        kind = "application/json" if json_str or message is None else "text/html; charset=utf-8"
        self.response: Any = json.dumps({} if message is None else message) if kind[0] == "a" else message
        self.headers: list[tuple[str, str]] = [(FAILED_HEADER, str(run_function_failed))]
        if not any(name.lower() == "content-type" for name in response_headers):
            self.headers.insert(0, ("Content-Type", kind))
        for name, value in response_headers.items():
            self.headers += [(name, part.strip()) for part in value.split(",")]

    @property
    def is_streamed(self) -> bool:
        """Whether the body comes in pieces whose number is not known."""
        return not isinstance(self.response, (str, bytes, bytearray, list, tuple, dict))

    def iter_encoded(self) -> Iterable[bytes]:
        """Return the body's pieces as bytes."""
        body = [self.response] if isinstance(self.response, (str, bytes, bytearray)) else self.response
        return (piece.encode() if isinstance(piece, str) else bytes(piece) for piece in body)

    def get_data(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.iter_encoded())

    def close(self) -> None:
        """Close what the pieces come from."""
        close = getattr(self.response, "close", None)
        if close is not None:
            close()
