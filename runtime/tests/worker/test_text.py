"""`run(data)` without decorators."""

from __future__ import annotations

import json
import struct
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_runtime.worker.failures import BadInput, Failure, ResultUnusable, ScriptRaised
from modelyard_runtime.worker.replies import InferredStream, StreamReply
from modelyard_runtime.worker.requests import Tensor

from runtime.tests.worker.asking import fp32, got, inferring, posted, scored

ECHO = "import json\ndef init(): pass\ndef run(data): return json.loads(data)\n"
SEEN = "def init(): pass\ndef run(data): return [type(data).__name__, data]\n"


def test_a_body_reaches_run_as_text(loaded: Any):
    assert scored(loaded(SEEN), "caf\xe9 {") == ["str", "caf\xe9 {"]


def test_a_body_that_is_not_utf8_is_bad_input(loaded: Any):
    with pytest.raises(BadInput, match="Input cannot be decoded as UTF-8"):
        loaded(SEEN).answer(posted(b"\xff"))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (b"a=1&b=x&b=2.5&c=", '{"a": 1, "b": ["x", 2.5], "c": ""}'),
        (b"x=null&l=[1,2]", '{"x": null, "l": [1, 2]}'),
        (b"bad=01&deep=" + b"[" * 2000, json.dumps({"bad": "01", "deep": "[" * 2000})),
        (b"c=NaN&d=-Infinity", '{"c": NaN, "d": -Infinity}'),
        (b"a=%FF&b=%C3%A9", '{"a": "%FF", "b": "\\u00e9"}'),
        (b"", "{}"),
    ],
)
def test_a_query_reaches_run_as_v1_wrote_it(loaded: Any, query: bytes, text: str):
    script = loaded(SEEN)
    assert json.loads(script.answer(got(query)).body) == ["str", text]


@pytest.mark.parametrize(
    "signature",
    [
        "data, request_headers",
        "request_headers, data",
        "*, data, request_headers",
        "data, request_headers=None",
    ],
)
def test_headers_come_by_name_with_v1s_spelling(loaded: Any, signature: str):
    script = loaded(f"def init(): pass\ndef run({signature}): return request_headers\n")
    assert script.description.needs_headers
    headers = ((b"x-team", b"blue"), (b"content-type", b"a/b"), (b"x-team", b"red"))
    assert scored(script, "", headers=headers) == {"X-Team": "blue,red", "Content-Type": "a/b"}


def test_a_script_that_wants_no_headers_says_so(loaded: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "flask", raising=False)
    assert not loaded(SEEN).description.needs_headers


@pytest.mark.parametrize(
    "fault", ["raise ValueError('secret row 7')", "raise SystemExit(3)", "1 / 0", "raise KeyboardInterrupt"]
)
def test_whatever_run_raises_is_its_failure_and_the_traceback_goes_to_the_log(
    loaded: Any, fault: str, capsys: Any
):
    script = loaded(f"def init(): pass\ndef run(data):\n    {fault}\n")
    with pytest.raises(ScriptRaised) as caught:
        script.answer(posted(""))
    assert "secret" not in str(caught.value)
    assert 'score.py", line 3, in run' in capsys.readouterr().err


def test_a_wrapper_of_v1s_tools_is_looked_through(loaded: Any, tmp_path: Any):
    (tmp_path / "inner_of_wrapper.py").write_text("def run(data): return 'inner'\n")
    script = loaded(
        "import inner_of_wrapper as driver_module\ndef init(): pass\ndef run(data): return 'wrapper'\n"
    )
    assert scored(script, "") == "inner"


def test_an_async_script_runs_on_one_loop_for_life(loaded: Any):
    script = loaded(
        "import asyncio\nasync def init():\n    global loop; loop = asyncio.get_running_loop()\n"
        "async def run(data):\n    await asyncio.sleep(0)\n    return loop is asyncio.get_running_loop()\n"
    )
    assert scored(script, "") is True


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ("yield 'a'\n    yield 'é'", b"text/plain; charset=utf-8", [b"a", "é".encode()]),
        ("yield b'a'\n    yield b'b'", b"application/octet-stream", [b"a", b"b"]),
        ("yield {'n': 1}\n    yield [2]", b"application/x-ndjson", [b'{"n":1}\n', b"[2]\n"]),
    ],
)
@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_generator_is_a_stream(loaded: Any, body: str, kind: bytes, expected: list[bytes], prefix: str):
    reply = loaded(f"def init(): pass\n{prefix}def run(data):\n    {body}\n").answer(posted(""))
    assert isinstance(reply, StreamReply)
    assert dict(reply.headers)[b"content-type"] == kind
    assert list(reply.chunks) == expected


def test_a_stream_that_fails_before_its_first_piece_is_a_failure(loaded: Any):
    with pytest.raises(ScriptRaised):
        loaded("def init(): pass\ndef run(data):\n    1 / 0\n    yield 1\n").answer(posted(""))


@pytest.mark.parametrize("prefix", ["", "async "])
def test_closing_a_stream_runs_the_scripts_finally(loaded: Any, prefix: str):
    script = loaded(
        "closed = []\ndef init(): pass\n"
        f"{prefix}def run(data):\n    try:\n        while True: yield 'x'\n    finally: closed.append(1)\n"
    )
    reply = script.answer(posted(""))
    next(reply.chunks)
    reply.chunks.close()
    import score

    assert score.closed == [1]


def test_a_stream_that_fails_later_says_so_after_its_pieces(loaded: Any):
    reply = loaded("def init(): pass\ndef run(data):\n    yield 'a'\n    1 / 0\n").answer(posted(""))
    assert next(reply.chunks) == b"a"
    with pytest.raises(ScriptRaised):
        next(reply.chunks)


def test_one_tensor_is_data_and_several_go_by_name(loaded: Any):
    script = loaded(ECHO)
    one = script.answer(inferring(fp32("x", [[1, 2], [3, 4]])))
    assert [(t.name, t.datatype, t.shape) for t in one.outputs] == [("data", "FP64", (2, 2))]
    two = script.answer(inferring(fp32("x", [[1]]), fp32("y", [[2]]), outputs=("y",)))
    assert [(t.name, struct.unpack("<d", t.data)) for t in two.outputs] == [("y", (2.0,))]


def test_an_output_that_is_not_there_is_bad_input(loaded: Any):
    with pytest.raises(BadInput, match="no output is called 'z'"):
        loaded(ECHO).answer(inferring(fp32("x", [[1]]), outputs=("z",)))


def test_text_that_is_json_becomes_tensors(loaded: Any):
    script = loaded("import json\ndef init(): pass\ndef run(data): return json.dumps({'y': [1, 2]})\n")
    (tensor,) = script.answer(inferring(fp32("x", [[1]]))).outputs
    assert (tensor.name, tensor.datatype, tensor.shape) == ("y", "INT64", (2,))


@pytest.mark.parametrize(
    ("result", "datatype", "shape"),
    [
        ("3", "INT64", (1,)),
        ("[True, False]", "BOOL", (2,)),
        ("[1, 2.5]", "FP64", (2,)),
        ("[2**63]", "UINT64", (1,)),
        ("[['a', 'é']]", "BYTES", (1, 2)),
        ("[[], []]", "FP64", (2, 0)),
        ("__import__('numpy').ones((2, 3))", "FP64", (2, 3)),
    ],
)
def test_the_datatype_of_a_result_follows_its_values(
    loaded: Any, result: str, datatype: str, shape: tuple[int, ...]
):
    (tensor,) = (
        loaded(f"def init(): pass\ndef run(data): return {result}\n")
        .answer(inferring(fp32("x", [[1]])))
        .outputs
    )
    assert (tensor.name, tensor.datatype, tensor.shape) == ("output", datatype, shape)


@pytest.mark.parametrize(
    "result", ["None", "{}", "[[1], [1, 2]]", "[1, 'a']", "[2**65]", "[None]", "[object()]", "object()"]
)
def test_a_result_no_tensor_can_be_made_of_is_unusable(loaded: Any, result: str):
    with pytest.raises(ResultUnusable):
        loaded(f"def init(): pass\ndef run(data): return {result}\n").answer(inferring(fp32("x", [[1]])))


def test_a_result_that_holds_itself_is_no_tensor(loaded: Any):
    script = loaded(
        "def init(): pass\ndef run(data):\n    ring = []\n    ring.append(ring)\n    return ring\n"
    )
    with pytest.raises(ResultUnusable, match="dimensions"):
        script.answer(inferring(fp32("x", [[1]])))


def test_an_array_keeps_its_datatype(loaded: Any):
    source = (
        "import numpy as np\ndef init(): pass\ndef run(data): return {'y': np.ones((1, 2), np.float32)}\n"
    )
    (tensor,) = loaded(source).answer(inferring(fp32("x", [[1]]))).outputs
    assert (tensor.name, tensor.datatype, tensor.shape) == ("y", "FP32", (1, 2))


def test_a_generator_asked_for_tensors_answers_several_times(loaded: Any):
    reply = loaded("def init(): pass\ndef run(data):\n    yield [1]\n    yield [2]\n").answer(
        inferring(fp32("x", [[1]]))
    )
    assert isinstance(reply, InferredStream)
    assert [struct.unpack("<q", part[0].data) for part in reply.parts] == [(1,), (2,)]


def test_rows_without_elements_cannot_eat_memory(loaded: Any):
    with pytest.raises(BadInput, match="no elements"):
        loaded(ECHO).answer(inferring(Tensor("x", "FP32", (2**30, 0), b"")))


SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple)


@given(shape=SHAPES, data=st.data())
def test_tensors_survive_the_way_through_json(shape: tuple[int, ...], data: Any):
    from modelyard_runtime.worker.nested import of_lists, to_lists

    count = 1
    for size in shape:
        count *= size
    values = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count))
    tensor = Tensor("x", "INT64", shape, struct.pack(f"<{count}q", *values))
    if count:
        assert of_lists("x", to_lists(tensor)) == tensor


def test_failures_of_a_batch_stay_with_their_request(loaded: Any):
    outcomes = loaded(ECHO).answer_batch([posted("1"), posted("{"), posted(b"\xff"), posted("2")])
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, True, False]
