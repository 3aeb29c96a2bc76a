"""JSON Schema of `engine.yaml` (draft 2020-12), from the table that parsing uses. Pure."""

from __future__ import annotations

from typing import Any

from modelyard.spec.fields import API_VERSION, FIELDS, Field, sections_of

_NOTHING = {"type": "null"}


def json_schema() -> dict[str, object]:
    """Describe the file so that an editor completes it; null stands for a key's default everywhere."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://{API_VERSION}/service.json",
        "title": "engine.yaml",
        "description": "One service of Modelyard.",
        **_section(sections_of(FIELDS)),
    }


def _section(tree: dict[str, Any]) -> dict[str, Any]:
    properties = {name: _property(name, branch) for name, branch in tree.items()}
    required = [name for name, branch in tree.items() if _needed(branch)]
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def _property(name: str, branch: Field | dict[str, Any]) -> dict[str, Any]:
    if isinstance(branch, dict):
        section = {"description": f"The section `{name}`.", "default": {}}
        return section | (_section(branch) if _needed(branch) else {"anyOf": [_section(branch), _NOTHING]})
    schema = branch.kind.schema()
    bounds = schema.pop("$comment", "")
    description = f"{branch.description} {bounds}.".replace(" .", "") if bounds else branch.description
    default = _default(branch)
    return {
        "description": description,
        **({} if branch.required else {"default": default}),
        **_or_null(schema, branch),
    }


def _or_null(schema: dict[str, Any], field: Field) -> dict[str, Any]:
    return schema if field.required else {"anyOf": [schema, _NOTHING]}


def _default(field: Field) -> Any:
    if field.key == "code.source":
        return "."
    value = field.default
    return None if value is None else field.kind.dump(value)


def _needed(branch: Field | dict[str, Any]) -> bool:
    if isinstance(branch, dict):
        return any(_needed(below) for below in branch.values())
    return branch.required
