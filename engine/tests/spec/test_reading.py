"""engine.yaml becomes a ServiceSpec, or every mistake of it is shown at once with its place."""

import os
from pathlib import Path
from typing import Any

import pytest
from modelyard.api import AcceleratorRequest, ModelRef, ServiceSpec, SpecError
from modelyard.spec import changed_keys, parse_service, read_service, settings_of, to_raw

MINIMAL = "name: digits\ncode: {entry: score.py}\n"


def read(project: Path, text: str) -> ServiceSpec:
    (project / "engine.yaml").write_text(text, encoding="utf-8")
    return read_service(project)


def findings(project: Path, text: str) -> list[dict[str, Any]]:
    with pytest.raises(SpecError) as caught:
        read(project, text)
    return caught.value.findings


def finding(project: Path, extra: str, *, text: str = MINIMAL) -> dict[str, Any]:
    found = findings(project, text + extra)
    assert len(found) == 1, found
    return found[0]


def test_a_minimal_file_gets_every_default(project: Path):
    spec = read(project, MINIMAL)
    assert spec == ServiceSpec(name="digits", code=spec.code, given=frozenset({"name", "code.entry"}))
    assert (spec.code.source, spec.code.entry) == (str(project), "score.py")


def test_a_full_file_is_read_key_by_key(project: Path):
    (project / "conda.yml").write_text("dependencies: [numpy]\n")
    spec = read(
        project,
        """
apiVersion: modelyard.dev/v1alpha1
name: digits
description: handwritten digits
tags: {team: vision, build: 12}
models:
  - model.pkl
  - {name: twin, path: model.pkl, version: 2}
code: {source: ., entry: score.py, sample: sample.json}
environment:
  base: registry/base@sha256:0
  python: 3.10
  requirements: ["numpy>=2", "scipy ; python_version > '3.9'"]
  conda_file: conda.yml
  docker_steps: [RUN true]
  variables: {PORT: 8080}
resources:
  cpu: 500m
  memory: 1Gi
  limits: {cpu: 2, memory: 2G}
  accelerator: [{kind: gpu, model: H100, count: 2, memory: 40GB}, cpu]
scaling: {min: 2, max: 5, target_utilization: 50, refresh_seconds: 0.5, scaler: busy}
request: {timeout: 2m, max_concurrent: 3, queue_wait: 250ms, max_body: 10MB}
probes: {startup_timeout: 30s, initial_delay: 0, period: 5, timeout: 1s, success_threshold: 2, failure_threshold: 4}
auth: none
target: docker
""",
    )
    assert spec.tags == {"team": "vision", "build": "12"}
    model = str(project / "model.pkl")
    assert spec.models == (ModelRef("model", model, "1"), ModelRef("twin", model, "2"))
    assert spec.environment.python == "3.10"
    assert spec.environment.conda == {"dependencies": ["numpy"]}
    assert spec.environment.variables == {"PORT": "8080"}
    assert (spec.resources.cpu_limit_millicores, spec.resources.memory_limit_bytes) == (2000, 2_000_000_000)
    assert spec.resources.accelerator == (
        AcceleratorRequest("gpu", "H100", 2, 40_000_000_000),
        AcceleratorRequest(),
    )
    assert (spec.request.timeout_seconds, spec.request.queue_wait_seconds) == (120.0, 0.25)
    assert (spec.probes.initial_delay_seconds, spec.probes.period_seconds) == (0.0, 5.0)
    assert (spec.auth, spec.target, spec.scaling.maximum) == ("none", "docker", 5)
    assert parse_service(to_raw(spec), base=Path("/")) == spec


def test_every_mistake_is_reported_at_once_with_its_line(project: Path):
    found = findings(
        project,
        "name: Digits\nmodels: [nothere.pkl]\ncode: {entry: other.py}\nrequest:\n  timeout: 301s\n"
        "  max_concurent: 2\nreplicas: none\n",
    )
    assert [(f["line"], f["key"]) for f in found] == [
        (1, "name"), (2, "models[0]"), (3, "code.entry"), (5, "request.timeout"), (6, "request.max_concurent"),
        (7, "replicas"),
    ]  # fmt: skip
    assert {f["file"] for f in found} == {str(project / "engine.yaml")}
    assert all(f["message"] and f["allowed"] for f in found)


def test_an_unknown_key_names_the_nearest_known_one(project: Path):
    assert finding(project, "scalling: {min: 1}")["suggestion"] == "scaling"
    assert finding(project, "probes: {perod: 1}")["suggestion"] == "probes.period"
    assert finding(project, "models: [{path: model.pkl, versoin: 1}]")["suggestion"] == "version"


def test_null_means_default_everywhere(project: Path):
    text = MINIMAL + "tags: null\nscaling: ~\nrequest: {timeout: null}\nmodels:\nreplicas: null\n"
    assert read(project, text) == read(project, MINIMAL)


def test_required_keys_are_missed_by_name(project: Path):
    assert [f["key"] for f in findings(project, "description: x\n")] == ["name", "code.entry"]
    assert [f["key"] for f in findings(project, "name: digits\ncode: {entry: null}\n")] == ["code.entry"]


@pytest.mark.parametrize(
    ("extra", "key", "part"),
    [
        ("description: no", "description", "truth value"),
        ("tags: {a: yes}", "tags.a", "truth value"),
        ("tags: [a]", "tags", "mapping"),
        ("request: {timeout: 0}", "request.timeout", "out of range"),
        ("request: {timeout: fast}", "request.timeout", "60s"),
        ("request: {timeout: true}", "request.timeout", "60s"),
        ("request: {timeout: .nan}", "request.timeout", "60s"),
        ("request: {timeout: [1]}", "request.timeout", "one value"),
        ("request: 3", "request", "mapping"),
        ("request: {max_concurrent: 1.5}", "request.max_concurrent", "whole number"),
        ("request: {max_concurrent: true}", "request.max_concurrent", "whole number"),
        ("resources: {cpu: 0.0001}", "resources.cpu", "finer"),
        ("resources: {memory: 1KiB}", "resources.memory", "memory"),
        ("resources: {cpu: 2, limits: {cpu: 1}}", "resources.limits.cpu", "less than"),
        ("resources: {limits: {memory: 1Mi}}", "resources.limits.memory", "less than"),
        ("resources: {accelerator: []}", "resources.accelerator", "0 entries"),
        ("resources: {accelerator: [{count: 0}]}", "resources.accelerator[0].count", "out of range"),
        ("scaling: {min: 3, max: 2}", "scaling.max", "min is 3, max is 2"),
        ("scaling: {min: 11}", "scaling.min", "max is 10"),
        ("scaling: {refresh_seconds: 0.2}", "scaling.refresh_seconds", "out of range"),
        ("scaling: {target_utilization: 101}", "scaling.target_utilization", "out of range"),
        ("replicas: 2\nscaling: {max: 3}", "replicas", "together with scaling.max"),
        ("environment: {python: 2.7}", "environment.python", "written"),
        ("environment: {variables: {A-B: x}}", "environment.variables.A-B", "written"),
        ("environment: {requirements: ['-e .']}", "environment.requirements[0]", "options"),
        ("environment: {requirements: ['a @ https://x/a.whl']}", "environment.requirements[0]", "URLs"),
        ("environment: {requirements: ['git+https://x/a']}", "environment.requirements[0]", "URLs"),
        ("environment: {requirements: ['a b c']}", "environment.requirements[0]", "no requirement"),
        ("environment: {requirements: nothere.txt}", "environment.requirements", "cannot be read"),
        ("environment: {conda_file: score.py}", "environment.conda_file", "dependencies"),
        ("environment: {dockerfile: nothere}", "environment.dockerfile", "cannot be read"),
        ("environment: {dockerfile: score.py}", "environment.dockerfile", "no FROM"),
        ("models: [model.pkl, ./model.pkl]", "models[1]", "two models"),
        ("models: [{name: a/b, path: model.pkl}]", "models[0].name", "written"),
        ("models: [{name: m}]", "models[0]", "no `path`"),
        ("auth: Key", "auth", "written"),
        ("apiVersion: v2", "apiVersion", "written"),
        ("x-given: [nonsense]", "x-given", "no key"),
    ],
)
def test_a_wrong_value_is_one_finding_that_says_why(project: Path, extra: str, key: str, part: str):
    found = finding(project, extra)
    assert (found["key"], part in found["message"] + found["allowed"]) == (key, True), found
    assert found["line"]


def test_a_dockerfile_is_read_from_its_file_or_given_as_text(project: Path):
    text = "# the base\nFROM debian:12\nRUN true\n"
    (project / "Dockerfile").write_text(text)
    spec = read(project, "name: digits\ncode: {entry: score.py}\nenvironment: {dockerfile: Dockerfile}\n")
    assert spec.environment.dockerfile == text
    again = parse_service(to_raw(spec), base=project)
    assert again.environment.dockerfile == text


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("{entry: nothere.py}", "cannot be read"),
        ("{entry: score.txt}", "importable"),
        ("{entry: class.py}", "importable"),
        ("{entry: 1score.py}", "importable"),
        ("{entry: ../score.py}", "leaves"),
        ("{entry: score.py, sample: nothere.json}", "does not exist"),
        ("{entry: score.py, sample: /etc/hostname}", "leaves"),
        ("{source: nothere, entry: score.py}", "no folder"),
    ],
)
def test_code_that_cannot_be_served_is_refused(project: Path, code: str, part: str):
    found = findings(project, f"name: digits\ncode: {code}\n")
    assert any(part in f["message"] for f in found)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("def init(): pass\n", "does not define `run`"),
        ("class A:\n    def run(self): pass\n", "does not define `run`"),
        ("def run(:\n", "not valid Python"),
        ("run = 1\0", "Python"),
        ("", "does not define `run`"),
        ("(" * 10_000, "Python"),
    ],
)
def test_a_script_that_cannot_score_is_refused(project: Path, source: str, part: str):
    (project / "score.py").write_text(source)
    assert part.lower() in finding(project, "")["message"].lower().replace("parsed", "python")


@pytest.mark.parametrize(
    "source",
    [
        "async def run(data): pass\n",
        "run = print\n",
        "def infer(inputs): pass\n",
        "import main_of_v1 as driver_module\n",
        "run: object = print\n",
        "from json import loads as run\n",
        "try:\n    import x\nexcept ImportError:\n    def run(d): pass\n",
        "if True:\n    def run(d): return '\\d'\n",
    ],
)
def test_run_may_be_defined_in_any_way_python_has(project: Path, source: str):
    (project / "score.py").write_text(source)
    assert read(project, MINIMAL).code.entry == "score.py"


def test_a_script_is_read_as_the_python_that_it_will_run_under(project: Path):
    (project / "score.py").write_text("def run(d):\n    match d:\n        case _: return 1\n")
    wrong = finding(project, "environment: {python: '3.9'}")
    assert "not valid Python 3.9" in wrong["message"]
    assert read(project, MINIMAL + "environment: {python: '3.10'}").environment.python == "3.10"


def test_a_script_for_a_newer_python_than_the_engines_is_left_to_that_python(project: Path):
    (project / "score.py").write_text("a syntax that is yet to come: ?\n")
    assert read(project, MINIMAL + "environment: {python: '3.99'}").environment.python == "3.99"


def test_a_requirements_file_is_read_with_its_includes(project: Path):
    (project / "requirements.txt").write_text("# head\n-r more.txt\nnumpy>=2  # why\n\nscipy \\\n  ==1.2\n")
    (project / "more.txt").write_text("attrs\n")
    spec = read(project, MINIMAL + "environment: {requirements: requirements.txt}")
    assert spec.environment.requirements == ("attrs", "numpy>=2", "scipy   ==1.2")


def test_options_of_a_requirements_file_are_refused_with_their_line(project: Path):
    (project / "requirements.txt").write_text("numpy\n--index-url https://x\n-e .\n")
    found = findings(project, MINIMAL + "environment: {requirements: requirements.txt}")
    assert [(f["file"], f["line"]) for f in found] == [("requirements.txt", 2), ("requirements.txt", 3)]


@pytest.mark.parametrize("include", ["../outside.txt", "requirements.txt", "/etc/hostname"])
def test_includes_that_leave_the_folder_or_go_round_are_refused(project: Path, include: str):
    (project / "requirements.txt").write_text(f"-r {include}\n")
    assert "includes" in finding(project, "environment: {requirements: requirements.txt}")["message"]


def test_a_fixed_number_of_replicas_is_both_bounds_and_survives_the_round_trip(project: Path):
    spec = read(project, MINIMAL + "replicas: 3\n")
    assert (spec.scaling.minimum, spec.scaling.maximum) == (3, 3)
    assert parse_service(to_raw(spec), base=Path("/")) == spec
    shown = {setting.key: setting for setting in settings_of(spec)}
    assert shown["replicas"].value == "3"
    assert "scaling.min" not in shown


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name: a\nname: b\n", "twice"),
        ("a: [1\n", "YAML"),
        ("- a\n", "mapping"),
        ("just text", "mapping"),
        ("a: !!python/object/apply:os.system [true]\n", "tag"),
        ("a: !thing x\n", "tag"),
        ("a: &x [*x]\n", "alias"),
        ("a: *unknown\n", "alias"),
        ("a: 1\n---\nb: 2\n", "more than one"),
        ("[a]: 1\n", "key must be"),
        ("a: " + "[" * 100 + "]" * 100, "deep"),
        ("a: \x07\n", "YAML"),
        ("a: !!int x\n", "valid YAML"),
        ("a: '" + "x" * 1_000_001 + "'", "larger"),
        ("a: [" + "x," * 50_001 + "]", "values"),
    ],
)
def test_a_file_that_is_no_plain_yaml_mapping_is_refused(project: Path, text: str, part: str):
    assert part in findings(project, text)[0]["message"]


def test_aliases_that_multiply_are_refused_quickly(project: Path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 12)]
    assert "aliases written out" in findings(project, "\n".join(lines))[0]["message"]


def test_an_alias_of_ordinary_size_is_fine(project: Path):
    spec = read(project, MINIMAL + "resources: {cpu: &c 500m, limits: {cpu: *c}}")
    assert spec.resources.cpu_limit_millicores == 500


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path):
    with pytest.raises(SpecError) as caught:
        read_service(tmp_path)
    assert str(tmp_path / "engine.yaml") in caught.value.findings[0]["message"]


@pytest.mark.parametrize("name", ["engine.yaml", "score.py", "requirements.txt"])
def test_a_fifo_where_a_file_should_be_is_refused_without_hanging(project: Path, name: str):
    (project / "engine.yaml").write_text(MINIMAL + "environment: {requirements: requirements.txt}")
    (project / "requirements.txt").touch()
    (project / name).unlink()
    os.mkfifo(project / name)
    with pytest.raises(SpecError) as caught:
        read_service(project)
    assert ["regular" in f["message"] for f in caught.value.findings] == [True]


def test_an_endless_device_as_requirements_is_refused(project: Path):
    found = finding(project, "environment: {requirements: /dev/zero}")
    assert "regular" in found["message"]


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_a_finding(project: Path):
    (project / "engine.yaml").write_text(MINIMAL)
    (project / "engine.yaml").chmod(0)
    with pytest.raises(SpecError):
        read_service(project)


def test_values_of_variables_are_never_shown(project: Path):
    spec = read(project, MINIMAL + "environment: {variables: {TOKEN: hunter2}}")
    assert "hunter2" not in str(settings_of(spec))
    found = finding(project, "environment: {variables: {TOKEN: [hunter2]}}")
    assert "hunter2" not in str(found)


def test_settings_say_who_set_them(project: Path):
    spec = read(project, MINIMAL + "request: {timeout: 30}\n")
    shown = {setting.key: (setting.value, setting.origin) for setting in settings_of(spec)}
    assert shown["request.timeout"] == ("30s", "file")
    assert shown["request.queue_wait"] == ("500ms", "default")
    assert shown["code.source"] == (str(project), "default")


def test_changed_keys_names_exactly_what_differs(project: Path):
    old = read(project, MINIMAL)
    new = read(project, MINIMAL + "request: {timeout: 30}\ntags: {a: b}\n")
    assert changed_keys(old, new) == ("tags", "request.timeout")
    assert changed_keys(new, new) == ()
    assert changed_keys(None, old) == ("name", "code.entry")


def test_a_request_body_is_judged_by_the_same_rules_without_lines(project: Path):
    raw = {"name": "digits", "code": {"entry": "score.py"}, "request": {"timeout": "9h"}, "oops": 1}
    with pytest.raises(SpecError) as caught:
        parse_service(raw, base=project)
    assert [(f["file"], f["line"], f["key"]) for f in caught.value.findings] == [
        ("request", None, "request.timeout"),
        ("request", None, "oops"),
    ]


@pytest.mark.parametrize("raw", [{"name": {1}}, {1: 2}, {"a": [[[{}]]] * 3, "b": object()}])
def test_what_json_has_not_is_refused(raw: Any, tmp_path: Path):
    with pytest.raises(SpecError):
        parse_service(raw, base=tmp_path)


def test_a_stored_spec_is_read_even_when_its_files_are_gone(project: Path):
    spec = read(project, MINIMAL + "models: [model.pkl]\n")
    raw = to_raw(spec)
    for file in project.iterdir():
        file.unlink()
    assert parse_service(raw, base=Path("/"), check_files=False) == spec
    with pytest.raises(SpecError):
        parse_service(raw, base=Path("/"))


@pytest.mark.parametrize("address", ["https://me:s3cret@h.example/p.whl", "git+https://s3cret@h.example/p"])
@pytest.mark.parametrize("written", ["[{}]", "requirements.txt"])
def test_credentials_in_a_requirement_are_refused_with_what_to_do_and_not_shown(
    project: Path, address: str, written: str
):
    line = f"p @ {address}"
    (project / "requirements.txt").write_text(line)
    found = finding(project, "environment: {requirements: " + written.format(f"'{line}'") + "}")
    assert "credentials" in found["message"]
    assert "UV_INDEX_<NAME>_PASSWORD" in found["allowed"]
    assert "s3cret" not in repr(found)
