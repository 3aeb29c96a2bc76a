"""`run(data)` without decorators: v1 hands it the body as text, whatever the content type says."""

from __future__ import annotations

from .. import nested, queries
from ..failures import BadInput
from ..headers import value_of
from ..raw_http.forms import MULTIPART, URL_ENCODED, options_of
from ..requests import InferRequest, ScoreRequest
from ..runs import Reader


class TextReader(Reader):
    """Reads requests as text."""

    def of_score(self, request: ScoreRequest) -> str:
        """Return the body, or the query of a GET as JSON."""
        if request.method == "GET":
            return queries.as_text(request.query)
        try:
            return str(request.body, "utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(f"Input cannot be decoded as UTF-8: {error}") from None

    def of_tensors(self, request: InferRequest) -> str:
        """Return the tensors as JSON."""
        return nested.as_text(request.inputs)


class TextReaderAsV1(TextReader):
    """Reads requests as v1's framework left them: it took a form for itself."""

    def of_score(self, request: ScoreRequest) -> str:
        """Return the body, but of a form nothing; the query of a GET as JSON."""
        if request.method == "GET":
            return queries.as_text_as_v1(request.query)
        return "" if is_form(value_of(request.headers, b"content-type")) else super().of_score(request)


def is_form(content_type: str) -> bool:
    """Say whether v1's framework read a body as a form; one in parts it could not without their boundary."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == URL_ENCODED or (kind == MULTIPART and bool(options_of(content_type).get("boundary")))
