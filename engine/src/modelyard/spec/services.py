"""Service specifications: from a file or a mapping, and back to a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import attrs

from modelyard.api import (
    BatchingSpec,
    CodeRef,
    EnvironmentSpec,
    GrpcSpec,
    MultiModelSpec,
    ProbeSpec,
    RequestSpec,
    ResourceSpec,
    ScalingSpec,
    ServiceSpec,
    Setting,
)
from modelyard.spec.combinations import clashes
from modelyard.spec.documents import DocumentError, Node, node_of, read_yaml
from modelyard.spec.fields import BY_KEY, FIELDS, GIVEN, Field
from modelyard.spec.files import read_text
from modelyard.spec.findings import Report, WrongError
from modelyard.spec.kinds import Context, TextList
from modelyard.spec.lock_files import is_lock_file
from modelyard.spec.reading import build, find, missing, read_fields
from modelyard.spec.scripts import check_entry_name, check_script
from modelyard.spec.v1_variables import read_variables

FILE_NAME = "engine.yaml"
_SECTIONS: dict[str, type] = {
    "code": CodeRef,
    "environment": EnvironmentSpec,
    "resources": ResourceSpec,
    "scaling": ScalingSpec,
    "request": RequestSpec,
    "probes": ProbeSpec,
    "batching": BatchingSpec,
    "grpc": GrpcSpec,
    "multi_model": MultiModelSpec,
}
_BOUNDS = ("scaling.min", "scaling.max")


def read_service(path: Path) -> ServiceSpec:
    """Read `engine.yaml` (or the folder that holds it). Raises `SpecError` with every finding."""
    file = path / FILE_NAME if path.is_dir() else path
    report = Report(str(file))
    root = load(file, report)
    return _service(root, Context(file.absolute().parent, report))


def parse_service(
    raw: Mapping[str, object], *, base: Path, file: str = "request", check_files: bool = True
) -> ServiceSpec:
    """Read a mapping by the rules of the file; paths are relative to `base`.

    `check_files` False takes paths as they are: a stored revision is read even when its sources are gone.
    Raises `SpecError` with every finding; there are no lines.
    """
    report = Report(file)
    try:
        root = node_of(raw)
    except DocumentError as error:
        report.add(error, key=error.key, value=None, line=None)
        report.raise_if_any()
        raise
    return _service(root, Context(base.absolute(), report, check_files))


def to_raw(spec: ServiceSpec) -> dict[str, object]:
    """Write a spec as JSON values, paths absolute; `parse_service` reads the same spec from it."""
    raw: dict[str, Any] = {GIVEN: sorted(spec.given)}
    for field in FIELDS:
        value = attrgetter(field.attribute)(spec) if field.attribute else None
        if value is None or (field.key in _BOUNDS and "replicas" in spec.given):
            continue
        *sections, name = field.key.split(".")
        branch = raw
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = field.kind.dump(value)
    if "replicas" in spec.given:
        raw["replicas"] = spec.scaling.minimum
    return raw


def settings_of(spec: ServiceSpec) -> tuple[Setting, ...]:
    """Give the effective value of every key and who set it: `file` or `default`."""
    fixed = "replicas" in spec.given
    settings = [
        _setting(field, spec) for field in FIELDS if field.attribute and not (fixed and field.key in _BOUNDS)
    ]
    if fixed:
        settings.append(Setting("replicas", str(spec.scaling.minimum), "file"))
    return tuple(settings)


def changed_keys(old: ServiceSpec | None, new: ServiceSpec) -> tuple[str, ...]:
    """Name the keys whose effective value differs; without an old spec, those the new one sets."""
    if old is None:
        return tuple(field.key for field in FIELDS if field.key in new.given)
    return tuple(
        field.key
        for field in FIELDS
        if field.attribute and attrgetter(field.attribute)(old) != attrgetter(field.attribute)(new)
    )


def load(file: Path, report: Report) -> Node:
    """Read a YAML file as nodes. Raises `SpecError` when it is no YAML mapping."""
    try:
        return _mapping(read_yaml(read_text(file)))
    except DocumentError as error:
        report.add(error, key=error.key, value=None, line=error.line)
    except WrongError as error:
        report.add(error, key="", value=None, line=None)
    report.raise_if_any()
    raise AssertionError  # pragma: no cover  a finding was added above


def _mapping(root: Node) -> Node:
    if isinstance(root.value, Mapping):
        return root
    raise DocumentError("must be a mapping of keys to values", root.line)


def _service(root: Node, context: Context) -> ServiceSpec:
    root, given = _without_given(root, context)
    root = _with_lock_file(root)
    values = read_fields(root, FIELDS, context)
    read_variables(root, values, context)
    missing(root, FIELDS, values, context)
    values.setdefault("code.source", str(context.base))
    _check_code(root, values, context)
    _check_scaling(root, values, context)
    _check_limits(root, values, context)
    for key, error in clashes(values):
        context.wrong(error, find(root, key), key)
    context.report.raise_if_any()
    found = frozenset(values) - {"apiVersion"} - _unset_source(root)
    if "replicas" in values:
        values |= {"scaling.min": values["replicas"], "scaling.max": values["replicas"]}
    return ServiceSpec(**build(_SECTIONS, values, FIELDS), given=found if given is None else given)


def _with_lock_file(root: Node) -> Node:
    """Take `requirements: pylock.toml` for what it means: `lock_file: pylock.toml`."""
    environment = find(root, "environment")
    if not isinstance(environment.value, Mapping) or environment is root:
        return root
    named = environment.value.get("requirements")
    if named is None or not is_lock_file(named.value) or "lock_file" in environment.value:
        return root
    rest = {name: node for name, node in environment.value.items() if name != "requirements"}
    environment = attrs.evolve(environment, value={**rest, "lock_file": named})
    assert isinstance(root.value, Mapping)  # noqa: S101  it has an environment
    return attrs.evolve(root, value={**root.value, "environment": environment})


def _unset_source(root: Node) -> frozenset[str]:
    code = find(root, "code").value
    is_set = isinstance(code, Mapping) and "source" in code and code["source"].value is not None
    return frozenset() if is_set else frozenset({"code.source"})


def _without_given(root: Node, context: Context) -> tuple[Node, frozenset[str] | None]:
    assert isinstance(root.value, Mapping)  # noqa: S101  both callers made sure
    if GIVEN not in root.value:
        return root, None
    node = root.value[GIVEN]
    rest = attrs.evolve(root, value={k: v for k, v in root.value.items() if k != GIVEN})
    try:
        return rest, _given_keys(node, context)
    except WrongError as error:
        context.wrong(error, node, GIVEN)
        return rest, None


def _given_keys(node: Node, context: Context) -> frozenset[str]:
    keys = TextList().parse(node, context, GIVEN)
    if unknown := next((key for key in keys if key not in BY_KEY), None):
        raise WrongError(f"{unknown!r} is no key", allowed="keys of engine.yaml")
    return frozenset(keys)


def _check_code(root: Node, values: dict[str, Any], context: Context) -> None:
    source = Path(values["code.source"])
    for key in ("code.entry", "code.sample"):
        if key not in values:
            continue
        try:
            _check_code_file(key, source, values, context)
        except WrongError as error:
            context.wrong(error, find(root, key), key)


def _check_code_file(key: str, source: Path, values: dict[str, Any], context: Context) -> None:
    name = values[key]
    if key == "code.entry":
        check_entry_name(name)
        if context.check_files:
            check_script(source / name, python=values.get("environment.python"))
        return
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise WrongError("leaves code.source", allowed="a file inside code.source")
    if context.check_files and not (source / name).is_file():
        raise WrongError(f"does not exist ({source / name})", allowed="a file inside code.source")


def _check_scaling(root: Node, values: dict[str, Any], context: Context) -> None:
    both = [key for key in _BOUNDS if key in values]
    if "replicas" in values and both:
        error = WrongError(
            f"is given together with {both[0]}", allowed="replicas, or scaling.min and scaling.max"
        )
        context.wrong(error, find(root, "replicas"), "replicas")
    low, high = (values.get(key, BY_KEY[key].default) for key in _BOUNDS)
    if low > high and both:
        key = both[-1]
        error = WrongError(f"leaves no room: min is {low}, max is {high}", allowed="min at most max")
        context.wrong(error, find(root, key), key)


def _check_limits(root: Node, values: dict[str, Any], context: Context) -> None:
    for name in ("cpu", "memory"):
        asked, limit = f"resources.{name}", f"resources.limits.{name}"
        least = values.get(asked, BY_KEY[asked].default)
        if limit in values and values[limit] < least:
            shown = BY_KEY[asked].kind.show(least)
            error = WrongError(f"is less than what is asked for ({shown})", allowed=f"at least {shown}")
            context.wrong(error, find(root, limit), limit)


def _setting(field: Field, spec: ServiceSpec) -> Setting:
    value = attrgetter(field.attribute)(spec)
    text = "" if value is None else field.kind.show(value)
    return Setting(field.key, text, "file" if field.key in spec.given else "default")
