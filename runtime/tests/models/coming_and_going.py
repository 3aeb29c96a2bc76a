"""What tests say to a replica whose models come and go, and a script that says which one it serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCRIPT = """
import json, os, pathlib, time

def init():
    global told, ballast
    folder = pathlib.Path(os.environ["AZUREML_MODEL_DIR"])
    told = json.loads((folder / "model.json").read_text())
    time.sleep(told.get("slow", 0))
    if "dies" in told:
        os._exit(told["dies"])
    if "breaks" in told:
        raise ValueError(told["breaks"])
    ballast = b"x" * (told.get("mib", 0) << 20)

def run(data):
    asked = json.loads(data or "null")
    if isinstance(asked, dict):
        time.sleep(asked.get("sleep", 0))
        while not pathlib.Path(asked.get("until", "/")).exists():
            time.sleep(0.01)
    return [os.environ["MODELYARD_MODEL_NAME"], os.environ["MODELYARD_MODEL_VERSION"], os.getpid()]
"""


class Models:
    """Speaks to one application about its models."""

    def __init__(self, client: Any, folder: Path) -> None:
        self.client = client
        self.folder = folder

    async def score(self, model: str = "", body: Any = None) -> Any:
        headers = {"modelyard-model": model} if model else {}
        return await self.client.ask("POST", "/score", json.dumps(body).encode(), headers=headers)

    async def pid(self, model: str) -> int:
        """Score, and return who answered."""
        reply = await self.score(model)
        assert reply.status == 200, reply.body
        return int(reply.json[2])

    async def move(self, verb: str, model: str, body: Any = None) -> Any:
        name, _, version = model.partition(":")
        path = f"/v2/repository/models/{name}{f'/versions/{version}' if version else ''}/{verb}"
        return await self.client.ask("POST", path, json.dumps(body or {}).encode())

    async def index(self) -> dict[str, tuple[str, str]]:
        listed = (await self.client.ask("POST", "/v2/repository/index")).json
        return {f"{one['name']}:{one['version']}": (one["state"], one["reason"]) for one in listed}

    async def state(self, model: str) -> str:
        return (await self.index())[model][0]

    async def until(self, model: str, state: str, reason: str = "") -> None:
        def stands() -> bool:
            standings = self.client.service.catalog.standings()
            (one,) = (one for one in standings if f"{one.name}:{one.version}" == model)
            return one.state == state and reason in one.reason

        await self.client.until(stands)

    def write(self, model: str, **about: Any) -> None:
        """Make another model of one."""
        folder = self.folder / model.replace(":", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").write_text(json.dumps(about))
