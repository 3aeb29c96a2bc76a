"""Scripts that v1 refuses to start, and how we name the cause."""

from __future__ import annotations

from typing import NamedTuple

from runtime.tests.conformance.cases import Group


class StartUp(NamedTuple):
    """A script that cannot serve; `said` is part of our cause."""

    name: str
    script: str
    said: str


_INIT = "def init():\n    pass\n"

REFUSED = (
    StartUp(
        "init raises",
        "def init():\n    raise KeyError('weights')\ndef run(data):\n    return 1\n",
        "KeyError",
    ),
    StartUp(
        "init exits",
        "import sys\ndef init():\n    sys.exit(4)\ndef run(data):\n    return 1\n",
        "left the process with status 4",
    ),
    StartUp("no init", "def run(data):\n    return 1\n", "init()"),
    StartUp("no run", _INIT, "run()"),
    StartUp("a syntax error", _INIT + "def run(data:\n    return 1\n", "SyntaxError"),
    StartUp(
        "an import that fails",
        "import nosuchthing\n" + _INIT + "def run(data):\n    return 1\n",
        "nosuchthing",
    ),
    StartUp("an import that exits", "import sys\nsys.exit(5)\n", "left the process with status 5"),
    StartUp("an import that raises", "1 / 0\n", "ZeroDivisionError"),
    StartUp("run takes *args", _INIT + "def run(*args):\n    return 1\n", "*args"),
    StartUp("run takes **kwargs", _INIT + "def run(data, **kwargs):\n    return 1\n", "**kwargs"),
    StartUp("run is positional-only", _INIT + "def run(data, /):\n    return 1\n", "positional-only"),
    StartUp("run takes no data", _INIT + "def run():\n    return 1\n", "no data"),
    StartUp("run takes headers alone", _INIT + "def run(request_headers):\n    return 1\n", "no data"),
    StartUp("run is not a function", _INIT + "run = 3\n", "run()"),
    StartUp("init is not a function", "init = 3\ndef run(data):\n    return 1\n", "init()"),
    StartUp("init wants an argument", "def init(model):\n    pass\ndef run(data):\n    return 1\n", "init()"),
    StartUp(
        "raw HTTP with a schema",
        "from azureml.contrib.services.aml_request import rawhttp\n"
        "from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType\n"
        "from inference_schema.schema_decorators import input_schema\n" + _INIT + "@rawhttp\n"
        "@input_schema('data', StandardPythonParameterType('x'))\ndef run(data):\n    return data\n",
        "rawhttp",
    ),
)


def group_of(start_up: StartUp) -> Group:
    """Return it as a group without cases, so that servers can be started with it."""
    return Group(start_up.name, start_up.script, ())
