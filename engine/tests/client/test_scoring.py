from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import attrs
import grpc
import pytest
from modelyard.api import ModelyardError, NotFound, Secret, SystemError_, Unavailable, UserError
from modelyard.client.scoring import INFER_METHOD, Endpoint, Scorer
from modelyard_runtime.oip import open_inference_pb2 as oip


@attrs.define
class Router:
    """What the router does with keys, over HTTP and gRPC, and who found the way."""

    url: str = ""
    grpc_url: str = ""
    valid: str = "first"
    status: grpc.StatusCode | None = None
    asked: int = 0
    seen: list[dict[str, str]] = attrs.field(factory=list)

    def find(self, name: str) -> Endpoint:
        self.asked += 1
        return Endpoint(name=name, url=self.url, grpc_url=self.grpc_url, key=Secret(self.valid))


@pytest.fixture
def router() -> Iterator[Router]:
    router = Router()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            router.seen.append({name.lower(): value for name, value in self.headers.items()})
            good = self.headers["authorization"] == f"Bearer {router.valid}"
            self.send_response(200 if good else 401)
            self.send_header("content-length", str(len(body)))
            self.send_header("X-Answer", "yes")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    def infer(content: bytes, context: grpc.ServicerContext) -> bytes:
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        router.seen.append(metadata)
        if metadata.get("authorization") != f"Bearer {router.valid}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid key")
        if router.status is not None:
            context.abort(router.status, "because")
        request = oip.ModelInferRequest.FromString(content)
        reply = oip.ModelInferResponse(model_name=request.model_name)
        reply.outputs.add(name="output", datatype="INT64", shape=[1])
        reply.raw_output_contents.append((7).to_bytes(8, "little"))
        return reply.SerializeToString()

    web = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    service, method = INFER_METHOD.strip("/").split("/")
    handler = grpc.method_handlers_generic_handler(
        service, {method: grpc.unary_unary_rpc_method_handler(infer)}
    )
    server.add_generic_rpc_handlers((handler,))
    router.grpc_url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    router.url = f"http://127.0.0.1:{web.server_port}/score"
    server.start()
    yield router
    server.stop(None).wait()
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.fixture
def scorer(router: Router) -> Iterator[Scorer]:
    scorer = Scorer(router.find)
    yield scorer
    scorer.close()


def score(scorer: Scorer, key: Secret | None = None) -> int:
    return scorer.score("digits", b"{}", content_type="application/json", key=key).status


def infer(scorer: Scorer) -> Any:
    return scorer.infer("digits", {"data": [[1.0]]}, model="m", key=None, timeout_seconds=10)


def test_a_body_goes_to_the_service_with_its_key_and_the_answer_comes_whole(
    router: Router, scorer: Scorer
) -> None:
    answer = scorer.score("digits", b"\x00body", content_type="image/png", key=None)
    assert (answer.status, answer.body, answer.headers["x-answer"]) == (200, b"\x00body", "yes")
    assert router.seen[0]["content-type"] == "image/png"


def test_the_controller_is_asked_once_for_many_requests(router: Router, scorer: Scorer) -> None:
    assert [score(scorer) for _ in range(3)] == [200] * 3
    assert infer(scorer).outputs["output"].tolist() == [7]
    assert router.asked == 1


def test_a_rotated_key_is_fetched_anew_over_http(router: Router, scorer: Scorer) -> None:
    score(scorer)
    router.valid = "second"
    assert score(scorer) == 200
    assert router.asked == 2


def test_a_rotated_key_is_fetched_anew_over_grpc(router: Router, scorer: Scorer) -> None:
    infer(scorer)
    router.valid = "second"
    assert infer(scorer).model == "m"
    assert router.asked == 2


def test_a_wrong_key_of_the_caller_is_an_answer_and_not_a_loop(router: Router, scorer: Scorer) -> None:
    score(scorer)
    assert score(scorer, Secret("wrong")) == 401
    assert len(router.seen) <= 3


def test_grpc_names_the_service_in_its_metadata(router: Router, scorer: Scorer) -> None:
    infer(scorer)
    assert router.seen[-1]["modelyard-service"] == "digits"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.INVALID_ARGUMENT, UserError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Unavailable),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.INTERNAL, SystemError_),
    ],
)
def test_a_grpc_status_becomes_an_error_of_ours(
    router: Router, scorer: Scorer, status: grpc.StatusCode, kind: type[ModelyardError]
) -> None:
    router.status = status
    with pytest.raises(kind, match="because") as caught:
        infer(scorer)
    assert type(caught.value) is kind
    assert caught.value.remedy


def test_a_router_that_is_gone_is_unavailable() -> None:
    scorer = Scorer(lambda name: Endpoint(name, "http://127.0.0.1:9/score", "127.0.0.1:9", None))
    with pytest.raises(Unavailable, match="router does not answer"):
        score(scorer)
    with pytest.raises(Unavailable):
        infer(scorer)
    scorer.close()
