"""What is wrong with a script is said before the first request, with its class, its line and its remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from modelyard_runtime.worker.failures import ScriptError
from modelyard_runtime.worker.model_paths import Model
from modelyard_runtime.worker.script import exit_code_of, explain, load

from runtime.tests.worker.asking import scored

INIT = "def init(): pass\n"


@pytest.mark.parametrize(
    ("source", "code", "cause", "remedy"),
    [
        (INIT, 13, "no function run()", "define run(data) or infer(inputs)"),
        ("def run(data): pass\n", 13, "no function init()", "define init()"),
        (INIT + "run = 3\n", 13, "no function run()", "define run(data)"),
        (INIT + "def run(*args): pass\n", 13, "*args", "write run(data)"),
        (INIT + "def run(data, **more): pass\n", 13, "**kwargs", "write run(data)"),
        (INIT + "def run(data, /): pass\n", 13, "positional-only", "write run(data)"),
        (INIT + "def run(): pass\n", 13, "takes no data", "write run(data)"),
        (INIT + "def run(request_headers): pass\n", 13, "takes no data", "write run(data)"),
        (INIT + "def run(data, more): pass\n", 13, "needs 'more'", "write run(data)"),
        ("def init(:\n", 11, "score.py, line 1", "mend score.py, line 1"),
        ("import nosuch.thing\n" + INIT, 12, "No module named 'nosuch'", "provides 'nosuch'"),
        ("\n1 / 0\n", 12, "ZeroDivisionError: division by zero (score.py, line 2)", "mend score.py, line 2"),
        ("import sys\nsys.exit(5)\n", 12, "left the process with status 5", "raise an exception"),
        ("def init():\n    raise ValueError('no model')\ndef run(data): pass\n", 14, "ValueError: no model (score.py, line 2)", "mend"),  # noqa: E501
        ("def init(model): pass\ndef run(data): pass\n", 14, "init()", "mend"),
        ("async def init(): 1 / 0\ndef run(data): pass\n", 14, "ZeroDivisionError", "mend score.py, line 1"),
        ("def init(): exit(3)\ndef run(data): pass\n", 15, "init() left the process with status 3", "raise an exception"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_script_that_cannot_serve_is_explained(
    tmp_path: Path, source: str, code: int, cause: str, remedy: str
):
    (tmp_path / "score.py").write_text(source)
    doing = "loading the script"
    try:
        script = load(str(tmp_path), "score.py")
        doing = "init()"
        script.init()
    except BaseException as error:  # noqa: BLE001
        told = explain(error, str(tmp_path), doing)
        assert exit_code_of(error, doing) == code  # noqa: PT017
        assert cause in told[0]
        assert remedy in told[1]
        return
    pytest.fail("it can serve")


def test_a_missing_script_is_its_own_class(tmp_path: Path):
    with pytest.raises(ScriptError, match="not in the code folder") as caught:
        load(str(tmp_path), "nosuch.py")
    assert caught.value.exit_code == 10


def test_a_script_imports_what_lies_beside_it_and_from_v1s_extra_folder(
    loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AZUREML_EXTRA_PYTHON_LIB_PATH", "lib")
    (tmp_path / "inside" / "lib").mkdir(parents=True)
    (tmp_path / "inside" / "beside_score.py").write_text("A = 1\n")
    (tmp_path / "inside" / "lib" / "in_extra_folder.py").write_text("B = 2\n")
    source = "import beside_score, in_extra_folder\ndef init(): pass\ndef run(data): return [beside_score.A, in_extra_folder.B]\n"  # noqa: E501
    assert scored(loaded(source, entry="inside/score.py"), "") == [1, 2]


def test_a_script_named_like_a_module_in_use_replaces_nothing(loaded: Any):
    import json

    assert scored(loaded(INIT + "def run(data): return __name__\n", entry="json.py"), "") == "entry_module"
    assert json.loads("1") == 1


@pytest.mark.parametrize(
    ("made", "asked", "found"),
    [
        (["m/1/model.pkl"], ("m",), "m/1/model.pkl"),
        (["m/2/a.pkl", "m/10/b.pkl"], ("m",), "m/10/b.pkl"),
        (["m/2/a.pkl", "m/10/b.pkl"], ("m", 2), "m/2/a.pkl"),
        (["m/1/folder/x", "m/1/folder/y"], ("m",), "m/1/folder"),
    ],
)
def test_a_models_path_is_its_only_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str], asked: tuple[Any, ...], found: str
):
    monkeypatch.setenv("AML_APP_ROOT", str(tmp_path))
    for name in made:
        (tmp_path / "azureml-models" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "azureml-models" / name).touch()
    assert Model.get_model_path(*asked) == str(tmp_path / "azureml-models" / found)


def test_a_model_that_is_nowhere_is_said_with_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AML_APP_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="azureml-models"):
        Model.get_model_path("nosuch")
    (tmp_path / "nosuch").touch()
    assert Model.get_model_path("nosuch") == "nosuch"


def test_v1s_model_class_is_importable(loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AML_APP_ROOT", str(tmp_path))
    (tmp_path / "azureml-models" / "m" / "1").mkdir(parents=True)
    (tmp_path / "azureml-models" / "m" / "1" / "f").touch()
    source = (
        "from azureml.core import Model\nfrom azureml.core.model import Model as Same\ndef init(): pass\n"
    )
    script = loaded(source + "def run(data): return [Model is Same, Model.get_model_path('m')[-1]]\n")
    assert scored(script, "") == [True, "f"]
