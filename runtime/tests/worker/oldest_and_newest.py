"""Run by test_interpreters.py under other Pythons, without pytest or packages: prints "fine" at the end."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import sys
import tempfile

WORKER = sys.argv[1]
INIT = os.path.join(WORKER, "__init__.py")  # noqa: PTH118
SPEC = importlib.util.spec_from_file_location("_worker", INIT, submodule_search_locations=[WORKER])
sys.modules["_worker"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(sys.modules["_worker"])

from _worker.failures import BadInput, ScriptError  # noqa: E402
from _worker.requests import InferRequest, ScoreRequest, Tensor  # noqa: E402
from _worker.script import exit_code_of, explain, load  # noqa: E402

FOLDER = tempfile.mkdtemp(dir="/tmp")


def script(source, **options):  # noqa: ANN001, ANN003
    with open(os.path.join(FOLDER, "score.py"), "w") as file:  # noqa: PTH118, PTH123
        file.write("def init(): pass\n" + source)
    importlib.invalidate_caches()
    loaded = load(FOLDER, "score.py", **options)
    loaded.init()
    return loaded


def post(body):  # noqa: ANN001
    return ScoreRequest("POST", "/score", b"", ((b"content-type", b"application/json"),), body)


echo = script("import json\ndef run(data): return json.loads(data)\n")
assert json.loads(echo.answer(post(b'{"a": [1, 2.5, "\xc3\xa9"]}')).body) == {"a": [1, 2.5, "\xe9"]}
(tensor,) = echo.answer(
    InferRequest((Tensor("x", "FP32", (2, 1), struct.pack("<2f", 1, 2)),), (), ())
).outputs
assert tensor == ("data", "FP64", (2, 1), struct.pack("<2d", 1, 2)), tensor
half = Tensor("x", "FP16", (1,), struct.pack("<e", 1.5))
brain = Tensor("y", "BF16", (1,), b"\xc0\x3f")
assert [struct.unpack("<d", t.data) for t in echo.answer(InferRequest((half, brain), (), ())).outputs] == [
    (1.5,)
] * 2
stream = script("async def run(data):\n    yield {'n': 1}\n    yield {'n': 2}\n").answer(post(b""))
assert b"".join(stream.chunks) == b'{"n":1}\n{"n":2}\n'
raw = script(
    "from azureml.contrib.services.aml_request import AMLRequest, rawhttp\n"
    "from azureml.contrib.services.aml_response import AMLResponse\n"
    "@rawhttp\ndef run(request): return AMLResponse(request.get_json(), 201, json_str=True)\n"
).answer(post(b'{"a": 1}'))
assert (raw.status, raw.body) == (201, b'{"a": 1}'), raw
batch = script("def run(data): return data\ndef run_batch(items): return items\n", batching=True)
assert [outcome.body for outcome in batch.answer_batch([post(b"a"), post(b"b")])] == [b'"a"', b'"b"']
deep = script(
    "def run(data):\n    value = 1\n    for _ in range(int(data)): value = [value]\n    return value\n"
)
assert deep.answer(post(b"254")).body.startswith(b"[[[")
for body, request in ((b"255", deep), (b"\xff", echo)):
    try:
        request.answer(post(body))
    except Exception as error:  # noqa: BLE001
        assert type(error).__name__ in ("ResultUnusable", "BadInput"), error  # noqa: PT017
    else:
        raise AssertionError(body)
from _worker.json_text import parse  # noqa: E402

for body in (b"[" * 300 + b"]" * 300, b"[NaN]", b"9" * 5000, b'"\\ud800"', b"{"):
    try:
        parse(body)
    except BadInput:
        continue
    raise AssertionError(body[:20])
try:
    script("def run(*args): pass\n")
except ScriptError as error:
    assert explain(error, FOLDER, "loading")[0] == "run() in score.py takes *args"  # noqa: PT017
    assert exit_code_of(error, "loading") == 13  # noqa: PT017
print("fine")  # noqa: T201
