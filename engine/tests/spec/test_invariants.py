"""What holds for every specification: the round trip, the schema, the quantities."""

import json
import math
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import (
    AcceleratorRequest,
    BatchingSpec,
    CodeRef,
    EnvironmentSpec,
    GrpcSpec,
    LockedPackage,
    LockFile,
    ModelRef,
    MultiModelSpec,
    ProbeSpec,
    RequestSpec,
    ResourceSpec,
    ScalingSpec,
    ServiceSpec,
    SpecError,
)
from modelyard.spec import (
    QuantityError,
    format_bytes,
    format_cpu,
    format_duration,
    format_memory,
    json_schema,
    parse_bytes,
    parse_duration,
    parse_quantity_cpu,
    parse_quantity_memory,
    parse_service,
    to_raw,
)
from modelyard.spec.documents import DocumentError, read_yaml
from modelyard.spec.fields import FIELDS

SCHEMA = jsonschema.Draft202012Validator(json_schema())
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
TEXTS = st.dictionaries(TEXT.filter(bool), TEXT, max_size=3)
NAME = st.from_regex(r"\A[a-z][a-z0-9-]{1,30}[a-z0-9]\Z")
MODEL = st.builds(
    ModelRef, st.from_regex(r"\A[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}\Z"), st.just("/m/x"), st.just("1")
)
REQUIREMENTS = st.lists(st.sampled_from(["numpy", "numpy>=2", "a[b]==1; python_version>'3'"]), max_size=3)
SIZES = st.integers(2**20, 2**50)
LOCKED = st.builds(
    LockedPackage,
    name=st.sampled_from(["numpy", "scipy", "zope-interface"]),
    version=st.sampled_from(["1.0", "2.1.post1", "3!4.5rc1+local"]),
    hashes=st.lists(st.from_regex(r"\Asha256:[0-9a-f]{64}\Z"), min_size=1, max_size=3, unique=True)
    .map(sorted)
    .map(tuple),
    marker=st.sampled_from(["", 'python_version >= "3.11"', 'sys_platform == "win32"']),
)
LOCK_FILES = st.builds(
    LockFile,
    packages=st.lists(LOCKED, max_size=4, unique_by=lambda one: (one.name, one.marker))
    .map(lambda found: sorted(found, key=lambda one: one.line))
    .map(tuple),
    requires_python=st.sampled_from(["", ">=3.11", "<3.15,>=3.9"]),
    environments=st.lists(st.sampled_from(['sys_platform == "linux"', 'os_name == "nt"']), max_size=2).map(
        tuple
    ),
)
ENVIRONMENTS = st.builds(
    EnvironmentSpec,
    base=st.none() | st.just("repo/base:1"),
    python=st.none() | st.sampled_from(["3.9", "3.10", "3.13"]),
    requirements=REQUIREMENTS.map(tuple),
    lock_file=st.none(),
    conda=st.none() | st.just({"dependencies": ["numpy", {"pip": ["x"]}]}),
    docker_steps=st.lists(TEXT.filter(bool), max_size=2).map(tuple),
    variables=st.dictionaries(st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,8}\Z"), TEXT, max_size=3),
)
ENVIRONMENTS = ENVIRONMENTS | st.builds(EnvironmentSpec, lock_file=LOCK_FILES)
RESOURCES = st.builds(
    ResourceSpec,
    cpu_millicores=st.integers(1, 1000),
    memory_bytes=SIZES.map(lambda size: size // 1024 + 2**20),
    cpu_limit_millicores=st.none() | st.integers(1000, 9000),
    memory_limit_bytes=st.none() | st.just(2**50),
    accelerator=st.lists(
        st.builds(AcceleratorRequest, NAME, TEXT, st.integers(1, 64), st.integers(0, 2**50)),
        min_size=1,
        max_size=3,
    ).map(tuple),
)
SECONDS = st.floats(1, 300) | st.integers(1, 300).map(float)
SCALINGS = st.builds(
    ScalingSpec, st.integers(1, 10), st.integers(10, 1000), st.integers(1, 100), st.floats(0.25, 3600), NAME
)
REQUESTS = st.builds(
    RequestSpec, SECONDS, st.integers(1, 1000), st.floats(0.01, 300), st.integers(1000, 2**31)
)
PROBES = st.builds(ProbeSpec, SECONDS, SECONDS, SECONDS, SECONDS, st.integers(1, 9), st.integers(1, 9))
SPECS = st.builds(
    ServiceSpec,
    name=NAME,
    code=st.builds(CodeRef, st.just("/src"), st.just("score.py"), st.none() | st.just("sample.json")),
    models=st.lists(MODEL, max_size=4, unique_by=lambda model: model.name).map(tuple),
    environment=ENVIRONMENTS,
    resources=RESOURCES,
    scaling=SCALINGS,
    request=REQUESTS,
    probes=PROBES,
    isolation=st.sampled_from(["auto", "process"]),
    batching=st.builds(BatchingSpec, st.integers(1, 1000), st.floats(0.001, 0.9)),
    compat=st.none() | st.just("strict-v1"),
    cors=st.just(("*",))
    | st.lists(
        st.sampled_from(["https://a.example", "http://localhost:3000", "app://x"]), max_size=2, unique=True
    ).map(tuple),
    grpc=st.builds(GrpcSpec, st.booleans(), st.integers(1, 10_000)),
    multi_model=st.builds(MultiModelSpec, st.just(False)),
    auth=st.sampled_from(["key", "none", "token"]),
    target=NAME,
    description=TEXT,
    tags=TEXTS,
    given=st.frozensets(st.sampled_from([f.key for f in FIELDS if f.attribute])),
)


@given(SPECS)
def test_a_spec_written_as_json_is_read_as_the_same_spec(spec: ServiceSpec):
    raw = json.loads(json.dumps(to_raw(spec)))
    assert parse_service(raw, base=Path("/"), check_files=False) == spec


@given(SPECS)
def test_a_spec_written_as_yaml_means_the_same_as_json(spec: ServiceSpec):
    raw = {key: value for key, value in to_raw(spec).items() if key != "description"}
    text = yaml.dump(raw, Dumper=DUMPER, allow_unicode=False)
    assert read_yaml(text).plain() == raw


@given(SPECS)
def test_the_schema_accepts_every_valid_file(spec: ServiceSpec):
    raw = to_raw(spec)
    del raw["x-given"]
    SCHEMA.validate(raw)


def test_the_schema_is_a_valid_schema_and_describes_every_key():
    schema: Any = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for field in FIELDS:
        node = schema
        for part in field.key.split("."):
            node = node if "properties" in node else node["anyOf"][0]
            node = node["properties"][part]
        assert node["description"]
        assert field.required or "default" in node


@pytest.mark.parametrize(
    "raw",
    [
        {"name": "digits"},
        {"name": "NO", "code": {"entry": "a.py"}},
        {"name": "digits", "code": {"entry": "a.py"}, "oops": 1},
        {"name": "digits", "code": {"entry": "a.py"}, "scaling": {"min": 0}},
        {"name": "digits", "code": {"entry": "a.py"}, "models": [{"name": "x"}]},
    ],
)
def test_schema_and_parser_refuse_alike(raw: dict[str, Any]):
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(raw)
    with pytest.raises(SpecError):
        parse_service(raw, base=Path("/"), check_files=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([f.key.split(".")[0] for f in FIELDS]) | TEXT, JSON, max_size=6))
def test_any_body_is_read_or_refused_with_findings(raw: dict[str, Any]):
    try:
        parse_service(raw, base=Path("/"), check_files=False)
    except SpecError as error:
        assert error.findings  # noqa: PT017  both outcomes are fine, an empty refusal is not
        json.dumps(error.details())


@given(st.sampled_from([f.key for f in FIELDS]), JSON)
def test_any_value_of_any_key_is_read_or_refused_by_name(key: str, value: Any):
    raw: dict[str, Any] = {"name": "digits", "code": {"entry": "score.py"}}
    *sections, name = key.split(".")
    branch = raw
    for section in sections:
        branch = branch.setdefault(section, {})
    branch[name] = value
    try:
        spec = parse_service(raw, base=Path("/"), check_files=False)
    except SpecError as error:
        assert all(key.split(".", maxsplit=1)[0] in found["key"] for found in error.findings)  # noqa: PT017
    else:
        again = parse_service(to_raw(spec), base=Path("/"), check_files=False)
        assert attrs.evolve(again, given=spec.given) == spec


@given(st.text(st.sampled_from("a:b-[]{}&*!|>'\"#% \n\t1.,?~"), max_size=60))
def test_any_text_is_yaml_or_refused_with_a_reason(text: str):
    try:
        read_yaml(text).plain()
    except DocumentError as error:
        assert error.message  # noqa: PT017


@given(st.integers(1, 10**6))
def test_cpu_is_written_as_it_is_read(millicores: int):
    assert parse_quantity_cpu(format_cpu(millicores)) == millicores


@given(st.integers(0, 2**60))
def test_sizes_are_written_as_they_are_read(size: int):
    assert parse_quantity_memory(format_memory(size)) == size
    assert parse_bytes(format_bytes(size)) == size


@given(st.floats(0, 10**6).filter(lambda value: value == 0 or value > 1e-6))
def test_durations_are_written_as_they_are_read(seconds: float):
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("parse", "value", "expected"),
    [
        (parse_quantity_cpu, "500m", 500),
        (parse_quantity_cpu, 0.5, 500),
        (parse_quantity_cpu, "2", 2000),
        (parse_quantity_memory, "512Mi", 536_870_912),
        (parse_quantity_memory, "1G", 1_000_000_000),
        (parse_quantity_memory, "0.1Gi", 107_374_183),
        (parse_bytes, "100MB", 100_000_000),
        (parse_bytes, "100MiB", 104_857_600),
        (parse_bytes, 100, 100),
        (parse_duration, "500ms", 0.5),
        (parse_duration, "2m", 120.0),
        (parse_duration, 1.5, 1.5),
    ],
)
def test_quantities_mean_what_kubernetes_means(parse: Any, value: object, expected: float):
    assert parse(value) == expected


@pytest.mark.parametrize("parse", [parse_quantity_cpu, parse_quantity_memory, parse_bytes, parse_duration])
@pytest.mark.parametrize(
    "value", ["", "x", "-1", "1e9", "1 1", "५", "1Zi", None, True, [], math.nan, math.inf, 10**40, "9" * 50]
)
def test_what_is_no_quantity_is_refused(parse: Any, value: object):
    with pytest.raises(QuantityError):
        parse(value)


def test_every_example_is_accepted_by_schema_and_parser():
    files = sorted((Path(__file__).parents[3] / "examples").glob("*/engine.yaml"))
    assert files
    for file in files:
        raw: Any = read_yaml(file.read_text()).plain()
        SCHEMA.validate(raw)
        # what training makes is not in the repository, so files are not asked for
        assert parse_service(raw, base=file.parent, check_files=False).name
