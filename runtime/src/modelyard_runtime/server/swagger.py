"""The OpenAPI document of a service, shaped as v1 shaped it, in the versions v1 answers with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from modelyard_runtime.contract import StartContract
from modelyard_runtime.server.problems import NotFound
from modelyard_runtime.worker.description import ALL_SWAGGER_VERSIONS, Description

_VERSIONS = {"2": "2.0", "2.0": "2.0", "3": "3.0", "3.0": "3.0", "3.1": "3.1"}
_OPENAPI = {"3.0": "3.0.3", "3.1": "3.1.0"}
_OWN_FILES = {
    "2.0": ("swagger2.json", "swagger.json"),
    "3.0": ("swagger3.json",),
    "3.1": ("swagger3.1.json",),
}
"""A document that the code folder brings wins over ours."""

_HEALTH = "Simple health check endpoint to ensure the service is up at any given point."
_HEALTHY = "If service is up and running, this response will be returned with the content 'Healthy'"
_RUN = "Run web service's model and get the prediction output"
_PAYLOAD = "The input payload for executing the real-time machine learning service."
_SCORED = "The service processed the input correctly and provided a result prediction, if applicable."
_FAILED = "The service failed to execute due to an error."
_GET = "Get the Swagger specification."
_DOCUMENT = "The Swagger specification."
_BEARER = {
    "type": "apiKey",
    "name": "Authorization",
    "in": "header",
    "description": "For example: Bearer abc123",
}
_TEXT = {"type": "string"}
_V1_NAMED = {"SERVICE_NAME": "ML service", "SERVICE_VERSION": "1.0", "SERVICE_PATH_PREFIX": ""}


def swagger(contract: StartContract, about: Description | None, query: bytes) -> dict[str, Any]:
    """Describe the service; `?version=` 2 (the default), 3 or 3.1. Raises `NotFound`.

    `about` is what the script declares; None while it is not loaded.
    """
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("version", ["2"])[0]
    version = _VERSIONS.get(asked)
    if version is None:
        raise NotFound(f"Swagger version [{asked}] is not valid. Supported versions: [2, 3, 3.1].")
    if (own := _own(contract, version)) is not None:
        return own
    able = about.swagger_versions if about is not None else ALL_SWAGGER_VERSIONS
    if version not in able:
        raise NotFound(
            f"Swagger version [{asked}] is not supported for the scoring script."
            f" Supported swagger versions: [{', '.join(item.removesuffix('.0') for item in able)}]."
        )
    schemas = _schemas(about)
    return _version_2(contract, schemas) if version == "2.0" else _version_3(contract, schemas, version)


def _own(contract: StartContract, version: str) -> dict[str, Any] | None:
    for name in _OWN_FILES[version]:
        path = Path(contract.code_dir) / name
        if path.is_file():
            document: dict[str, Any] = json.loads(path.read_bytes())
            return document
    return None


def _named(contract: StartContract) -> dict[str, str]:
    """Return what v1 read from three variables; without them we know better than v1 did."""
    name = contract.service
    known = {
        "SERVICE_NAME": name,
        "SERVICE_VERSION": str(contract.revision),
        "SERVICE_PATH_PREFIX": f"api/v1/service/{name}",
    }
    return {**(_V1_NAMED if contract.compat == "strict-v1" else known), **contract.variables}


def _info(contract: StartContract) -> dict[str, str]:
    named = _named(contract)
    return {
        "title": named["SERVICE_NAME"],
        "description": f"API specification for the Azure Machine Learning service {named['SERVICE_NAME']}",
        "version": named["SERVICE_VERSION"],
    }


def _schemas(about: Description | None) -> dict[str, Any]:
    free = {"type": "object", "example": {}}
    return {
        "ServiceInput": (about.input_schema if about is not None else None) or free,
        "ServiceOutput": (about.output_schema if about is not None else None) or free,
        "ErrorResponse": {"type": "object", "properties": {"message": _TEXT}},
    }


def _paths(
    contract: StartContract, body: dict[str, Any], version: dict[str, Any], answers: dict[str, Any]
) -> dict[str, Any]:
    prefix = _named(contract)["SERVICE_PATH_PREFIX"].strip("/")
    prefix = f"/{prefix}" if prefix else ""

    def responses(name: str) -> dict[str, Any]:
        return {"200": answers[name], "default": answers["error"]}

    health = {
        "operationId": "ServiceHealthCheck",
        "description": _HEALTH,
        "responses": responses("health"),
    }
    scoring = {
        "operationId": "RunMLService",
        "description": _RUN,
        "security": [{"Bearer": []}],
        **body,
        "responses": responses("score"),
    }
    document = {
        "operationId": "GetSwaggerSpec",
        "description": _GET,
        "parameters": [{"in": "query", "name": "version", "required": False, **version}],
        "responses": responses("document"),
    }
    return {
        f"{prefix}/": {"get": health},
        f"{prefix}/score": {"post": scoring},
        f"{prefix}/swagger.json": {"get": document},
    }


def _version_2(contract: StartContract, schemas: dict[str, Any]) -> dict[str, Any]:
    def answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"description": text, "schema": schema}

    parameter = {
        "name": "serviceInputPayload",
        "in": "body",
        "description": _PAYLOAD,
        "schema": {"$ref": "#/definitions/ServiceInput"},
    }
    answers = {
        "health": {**answer(_HEALTHY, _TEXT), "examples": {"application/json": "Healthy"}},
        "score": answer(_SCORED, {"$ref": "#/definitions/ServiceOutput"}),
        "document": answer(_DOCUMENT, _TEXT),
        "error": answer(_FAILED, {"$ref": "#/definitions/ErrorResponse"}),
    }
    return {
        "swagger": "2.0",
        "info": _info(contract),
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": {"Bearer": _BEARER},
        "paths": _paths(contract, {"parameters": [parameter]}, {"type": "integer", "enum": [2, 3]}, answers),
        "definitions": schemas,
    }


def _version_3(contract: StartContract, schemas: dict[str, Any], version: str) -> dict[str, Any]:
    def json_of(schema: str) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}

    def text(schema: dict[str, Any]) -> dict[str, Any]:
        return {"content": {"text/plain": {"schema": schema}}}

    answers = {
        "health": {"description": _HEALTHY, **text({"type": "string", "example": "Healthy"})},
        "score": {"description": _SCORED, **json_of("ServiceOutput")},
        "document": {"description": _DOCUMENT, **text(_TEXT)},
        "error": {"description": _FAILED, **json_of("ErrorResponse")},
    }
    body = {"requestBody": {"description": _PAYLOAD, **json_of("ServiceInput")}}
    asked = {"schema": {"type": "integer", "enum": [2, 3]}}
    return {
        "openapi": _OPENAPI[version],
        "info": _info(contract),
        "security": [{"Bearer": []}],
        "paths": _paths(contract, body, asked, answers),
        "components": {"schemas": schemas, "securitySchemes": {"Bearer": _BEARER}},
    }
