"""`run(data)` without decorators: v1 hands it the body as text, whatever the content type says."""

from __future__ import annotations

from .. import nested, queries
from ..failures import BadInput
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
