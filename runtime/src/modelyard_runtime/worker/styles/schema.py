"""`run()` decorated with inference_schema: a JSON object, one key a parameter, converted by the library itself."""

from __future__ import annotations

import inspect
import sys
from typing import Any, Callable, Sequence

from .. import nested, queries
from ..description import ALL_SWAGGER_VERSIONS
from ..explaining import raised
from ..failures import BadInput, Failure
from ..headers import value_of
from ..json_text import parse, parse_as_v1
from ..requests import InferRequest, Request, ScoreRequest
from ..runs import Reader
from .converting import converter
from .mismatch import found_before

_LIBRARY = "inference_schema.schema_util"


class SchemaReader(Reader):
    """Reads requests as arguments by name; `strict` reads JSON as v1 did."""

    def __init__(
        self, run: Callable[..., Any], parameters: Sequence[inspect.Parameter], *, strict: bool
    ) -> None:
        self._parameters = parameters
        self._read_query = queries.read_as_v1 if strict else queries.read
        self._parse = parse_as_v1 if strict else parse
        self._code = getattr(inspect.unwrap(run), "__code__", None)
        self._convert = converter(run)
        self.lone = "" if self._convert else "another decorator than inference_schema's is around its run()"

    def item_of(self, read: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments as the library's decorators would hand them to `run()`. Raises what they raise."""
        return self._convert(read) if self._convert is not None else read

    def of_score(self, request: ScoreRequest) -> dict[str, Any]:
        """Return the arguments in a body, or in the query of a GET."""
        if request.method == "GET":
            return self._chosen(self._read_query(request.query))
        if not is_json(value_of(request.headers, b"content-type")):
            raise BadInput("Expects Content-Type to be application/json", status=415)
        if not request.body:
            raise BadInput("POST body is empty. Expecting a JSON dictionary.")
        try:
            document = self._parse(bytes(request.body))
        except BadInput as error:
            raise BadInput(f"POST body could not be decoded as JSON: {error}", place=error.place) from None
        if not isinstance(document, dict):
            raise BadInput("POST body should be a JSON dictionary.")
        return self._chosen(document)

    def of_tensors(self, request: InferRequest) -> dict[str, Any]:
        """Return the tensors as nested lists by name; a single one may have any name."""
        found = {tensor.name: nested.to_lists(tensor) for tensor in request.inputs}
        names = {parameter.name for parameter in self._parameters}
        if len(found) == 1 and not names & found.keys():
            return self._chosen({self._parameters[0].name: next(iter(found.values()))})
        return self._chosen(found)

    def failure_of(self, error: BaseException, request: Request) -> Failure:  # noqa: ARG002  # the border
        """Tell what the library could not convert from what the script raised."""
        if not isinstance(error, Exception) or isinstance(error, MemoryError):
            return raised(error, "run()")
        mismatch = found_before(self._code, error)
        if mismatch is None:
            return raised(error, "run()")
        text = " ".join(str(error).split()) or type(error).__name__
        return BadInput(f"'{mismatch}' does not fit the schema of this model: {text}", place=mismatch)

    def _chosen(self, document: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for parameter in self._parameters:
            value = document.get(parameter.name, parameter.default)
            if value is inspect.Parameter.empty:
                name = parameter.name
                raise BadInput(f"A value is not provided for the {name!r} parameter.", place=name)
            found[parameter.name] = value
        return found


def is_json(content_type: str) -> bool:
    """Say whether a content type means JSON, as v1 decides it."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def is_decorated(run: Callable[..., Any]) -> bool:
    """Say whether a function carries inference_schema's decorators."""
    library = sys.modules.get(_LIBRARY)
    return library is not None and bool(library.is_schema_decorated(run))


def schemas(run: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """Return the swagger parts of input and output, and the versions that can express them."""
    library: Any = sys.modules[_LIBRARY]
    versions = getattr(library, "get_supported_versions", lambda _: ALL_SWAGGER_VERSIONS)(run)
    return library.get_input_schema(run), library.get_output_schema(run), tuple(versions)


def forget(module_name: str) -> None:
    """Drop what the library remembers of a module that is about to be loaded anew: it knows names alone."""
    library = sys.modules.get(_LIBRARY)
    known: Any
    for known in (getattr(library, "__functions_schema__", None), getattr(library, "__versions__", None)):
        for name in [name for name in known or () if name.rpartition(".")[0] == module_name]:
            del known[name]
