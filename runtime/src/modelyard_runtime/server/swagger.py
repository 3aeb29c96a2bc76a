"""The OpenAPI document of a service, in the versions v1 answers with."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from modelyard_runtime.contract import StartContract
from modelyard_runtime.server.problems import NotFound
from modelyard_runtime.worker.description import Description

_VERSIONS = {"2": "2.0", "2.0": "2.0", "3": "3.0.3", "3.0": "3.0.3", "3.1": "3.1.0"}
_CODES = ((200, "The service processed the input correctly"), (400, "The input is not understood"))


def swagger(contract: StartContract, about: Description | None, query: bytes) -> dict[str, Any]:
    """Describe the service; `?version=` 2 (the default), 3 or 3.1. Raises `NotFound`.

    `about` is what the script declares; None while it is not loaded.
    """
    asked = parse_qs(query.decode("latin-1")).get("version", ["2"])[0]
    version = _VERSIONS.get(asked)
    if version is None:
        raise NotFound(f"Swagger version [{asked}] is not valid. Supported versions: [2, 3, 3.1].")
    schemas = _schemas(about)
    return _version_2(contract, schemas) if version == "2.0" else _version_3(contract, schemas, version)


def _info(contract: StartContract) -> dict[str, str]:
    return {
        "title": contract.service,
        "description": f"API specification for the service {contract.service}",
        "version": str(contract.revision),
    }


def _paths(contract: StartContract, body: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    prefix = f"/api/v1/service/{contract.service}"
    healthy = {"200": answers["health"], "503": answers["error"]}
    scored = {"200": answers["score"], "400": answers["error"], "500": answers["error"]}
    return {
        f"{prefix}/": {
            "get": {
                "operationId": "ServiceHealthCheck",
                "description": "Says healthy once ready",
                "responses": healthy,
            }
        },
        f"{prefix}/score": {
            "post": {
                "operationId": "RunMLService",
                "description": "Scores the input with the model",
                "security": [{"Bearer": []}],
                **body,
                "responses": scored,
            }
        },
        f"{prefix}/swagger.json": {
            "get": {
                "operationId": "GetSwaggerSpec",
                "description": "This document",
                "responses": {"200": answers["document"]},
            }
        },
    }


def _schemas(about: Description | None) -> dict[str, Any]:
    free = {"type": "object", "example": {}}
    return {
        "ServiceInput": (about.input_schema if about is not None else None) or free,
        "ServiceOutput": (about.output_schema if about is not None else None) or free,
        "ErrorResponse": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("code", "message", "request_id")},
        },
    }


def _security() -> dict[str, Any]:
    return {
        "Bearer": {"type": "apiKey", "name": "Authorization", "in": "header", "description": "Bearer <key>"}
    }


def _version_2(contract: StartContract, schemas: dict[str, Any]) -> dict[str, Any]:
    def answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"description": text, "schema": schema}

    parameter = {
        "name": "serviceInputPayload",
        "in": "body",
        "description": "The input payload for executing the real-time machine learning service.",
        "schema": {"$ref": "#/definitions/ServiceInput"},
    }
    answers = {
        "health": answer("healthy", {"type": "string", "example": "Healthy"}),
        "score": answer(_CODES[0][1], {"$ref": "#/definitions/ServiceOutput"}),
        "document": answer("the specification", {"type": "object"}),
        "error": answer("an error", {"$ref": "#/definitions/ErrorResponse"}),
    }
    return {
        "swagger": "2.0",
        "info": _info(contract),
        "schemes": ["https", "http"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": _security(),
        "paths": _paths(contract, {"parameters": [parameter]}, answers),
        "definitions": schemas,
    }


def _version_3(contract: StartContract, schemas: dict[str, Any], version: str) -> dict[str, Any]:
    def content(schema: dict[str, Any]) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": schema}}}

    reference = "#/components/schemas/"
    answers = {
        "health": {"description": "healthy", "content": {"text/html": {"schema": {"type": "string"}}}},
        "score": {"description": _CODES[0][1], **content({"$ref": f"{reference}ServiceOutput"})},
        "document": {"description": "the specification", **content({"type": "object"})},
        "error": {"description": "an error", **content({"$ref": f"{reference}ErrorResponse"})},
    }
    body = {"requestBody": {"required": True, **content({"$ref": f"{reference}ServiceInput"})}}
    return {
        "openapi": version,
        "info": _info(contract),
        "paths": _paths(contract, body, answers),
        "components": {"schemas": schemas, "securitySchemes": _security()},
    }
