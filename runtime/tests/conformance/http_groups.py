"""Scripts that see HTTP themselves: @rawhttp, AMLRequest and AMLResponse in every form, answers in pieces."""

from __future__ import annotations

from runtime.tests.conformance.cases import JSON_TYPE, Case, Group, got, posted

RAW = Group(
    "rawhttp",
    """
import flask
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse

FORMS = {
    "text": lambda: AMLResponse("text", 200),
    "bytes": lambda: AMLResponse(b"bytes", 200),
    "typed": lambda: AMLResponse(b"\\x89PNG", 200, {"Content-Type": "image/png"}),
    "json": lambda: AMLResponse({"a": [1, None]}, 200, json_str=True),
    "json text": lambda: AMLResponse("a", 200, json_str=True),
    "nothing": lambda: AMLResponse(None, 200),
    "nothing with a status": lambda: AMLResponse(None, 404),
    "headers": lambda: AMLResponse("x", 201, {"x-scripts-own": "a, b,c"}),
    "bad request": lambda: AMLResponse("bad", 400),
    "unavailable": lambda: AMLResponse("later", 503, {"Retry-After": "7"}),
    "failed": lambda: AMLResponse("x", 200, run_function_failed=True),
    "own header": lambda: AMLResponse("x", 200, {"x-ms-run-function-failed": "maybe"}),
    "own id": lambda: AMLResponse("x", 200, {"x-request-id": "mine"}),
    "by name": lambda: AMLResponse(message="m", status_code=202, response_headers={}, json_str=True),
    "list": lambda: AMLResponse(["a", "b"], 200),
    "string status": lambda: AMLResponse("x", "418 teapot"),
    "cookies": lambda: AMLResponse("x", 200, {"Set-Cookie": "a=1,b=2"}),
    "object": lambda: {"plain": 1},
    "none": lambda: None,
    "set": lambda: {1},
    "raise": lambda: 1 / 0,
    "abort": lambda: flask.abort(404),
    "parsed": lambda: flask.request.get_json(),
}

def init():
    pass

@rawhttp
def run(request):
    form = request.args.get("form")
    if form == "class":
        return isinstance(request, AMLRequest) or type(request).__mro__[1].__name__
    if form:
        return FORMS[form]()
    seen = {
        "method": request.method, "path": request.path, "full_path": request.full_path,
        "query": request.query_string.decode(), "args": {k: request.args.getlist(k) for k in request.args},
        "content_type": request.content_type, "mimetype": request.mimetype,
        "content_length": request.content_length, "is_json": request.is_json,
        "json": request.get_json(silent=True), "form": {k: request.form.getlist(k) for k in request.form},
        "files": {name: [f.filename, f.read().decode("latin-1"), f.content_type] for name, f in request.files.items()},
        "data": request.get_data().decode("latin-1") if "multipart" not in (request.content_type or "") else None,
        "text": request.get_data(as_text=True) if "multipart" not in (request.content_type or "") else None,
        "team": request.headers.get("x-team"), "has": "X-Team" in request.headers,
        "cookies": dict(request.cookies), "values": sorted(request.values),
    }
    return AMLResponse(seen, 200, json_str=True)
""",
    (
        *(
            got(f"answers {form}", f"/score?form={form.replace(' ', '%20')}")
            for form in (
                "text", "bytes", "typed", "json", "json text", "nothing", "nothing with a status", "headers",
                "bad request", "unavailable", "failed", "own header", "own id", "by name", "list", "string status",
                "cookies", "object", "none", "set", "raise", "abort", "class", "no such form",
            )
        ),
        Case("answers parsed of malformed JSON", path="/score?form=parsed", body=b"{", headers=JSON_TYPE),
        Case("answers parsed of text", path="/score?form=parsed", body=b"a"),
        Case("sees a GET", "GET", "/score?a=1&b=%C3%A9&a=2", headers={"X-Team": "blue", "Cookie": "k=v; l=w"}),
        posted("sees JSON", '{"a": [1]}', x_team="red"),
        posted("sees malformed JSON", "{"),
        Case("sees bytes", body=bytes(range(256)), headers={"Content-Type": "application/octet-stream"}),
        Case("sees a form", body=b"a=1&b=x+y&a=2", headers={"Content-Type": "application/x-www-form-urlencoded"}),
        Case(
            "sees files",
            body=(
                b'--XX\r\nContent-Disposition: form-data; name="image"; filename="a b.png"\r\n'
                b"Content-Type: image/png\r\n\r\n\x89PNG\r\n"
                b'--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--XX--\r\n'
            ),
            headers={"Content-Type": "multipart/form-data; boundary=XX"},
        ),
        Case("sees OPTIONS", "OPTIONS", "/score?a=1"),
        Case("sees no body", "POST"),
        Case("PUT", "PUT"),
        got("swagger", "/swagger.json"),
    ),
    variables={"SERVICE_NAME": "digits", "SERVICE_VERSION": "3", "SERVICE_PATH_PREFIX": "/api/v1/service/digits"},
)  # fmt: skip

STREAMS = Group(
    "streams",
    """
import flask

def init():
    pass

def pieces(kind):
    for number in range(3):
        yield f"data: {number}\\n\\n" if kind == "text" else f"data: {number}\\n\\n".encode()

def run(data):
    if data == "empty":
        return flask.Response(iter([]), mimetype="text/plain")
    return flask.Response(pieces(data), mimetype="text/event-stream", headers={"x-scripts-own": "s"})
""",
    (
        Case("pieces of text", body=b"text"),
        Case("pieces of bytes", body=b"bytes"),
        Case("no pieces", body=b"empty"),
    ),
)

ASKED_BY_BROWSERS = Group(
    "a raw script that browsers ask",
    """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    return AMLResponse(request.method, 202, {"x-scripts-own": "s"})
""",
    (
        Case(
            "a preflight",
            "OPTIONS",
            headers={"Origin": "https://a.example", "Access-Control-Request-Method": "POST"},
        ),
        Case("OPTIONS that is none", "OPTIONS", headers={"Origin": "https://a.example"}),
        got("GET", "/score", Origin="https://a.example"),
    ),
    variables={"AML_CORS_ORIGINS": "https://a.example"},
    contract={"cors_origins": ("https://a.example",)},
)

GROUPS = (RAW, STREAMS, ASKED_BY_BROWSERS)
