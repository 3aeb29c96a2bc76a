"""Registries that ask for a login, and what one carried."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from plugins.registry.tests.distribution.conftest import Connect
from plugins.registry.tests.distribution.fake import Act, FakeRegistry, Handler, status

REPOSITORY = "models/digits"
PASSWORD = "canary-password"
TOKEN = "canary-token"
BASIC = f"Basic {base64.b64encode(f'somebody:{PASSWORD}'.encode()).decode()}"


def wants_token(realm: str, *, token: str = TOKEN) -> Act:
    """Answer 401 to whoever does not carry the token."""

    def act(handler: Handler) -> bool:
        if handler.headers["Authorization"] == f"Bearer {token}":
            return False
        handler.body()
        scope = f"repository:{REPOSITORY}:pull"
        challenge = f'Bearer realm="{realm}",service="fake service",scope="{scope}"'
        return handler.answer(401, www_authenticate=challenge)

    return act


def wants_password(handler: Handler) -> bool:
    if handler.headers["Authorization"] == BASIC:
        return False
    return handler.answer(401, www_authenticate='Basic realm="fake"')


def gives_token(token: str = TOKEN, **more: object) -> Act:
    return status(200, json.dumps({"token": token, **more}).encode())


def log_in(folder: Path, host: str, entry: dict[str, str]) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))
    return {"DOCKER_CONFIG": str(folder)}


def carried(server: FakeRegistry) -> list[str | None]:
    return [one.headers.get("Authorization") for one in server.asked]


async def look(connect: Connect, environ: dict[str, str], times: int = 1, **keys: object) -> None:
    registry = connect(environ=environ, **keys)
    for _ in range(times):
        await registry.has_blob(REPOSITORY, f"sha256:{'0' * 64}")
